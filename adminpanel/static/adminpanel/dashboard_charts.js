// The charts over time, drawn with the Chart.js that the back-office's theme brings along.
"use strict";

window.opsCharts = (() => {
  const { make, short } = window.ops;
  const COLOURS = ["#2f7de1", "#e0852c", "#22a06b", "#9a5bd6", "#d1495b", "#11a3b3", "#8c8f3a"];
  const drawn = new Map();

  const isDark = () => document.documentElement.classList.contains("dark");
  const ink = () => (isDark() ? "#98a3b3" : "#5b6472");
  const lines = () => (isDark() ? "#263041" : "#e5e7eb");

  const label = (ms, stepMs) => {
    const text = new Date(ms).toISOString();
    if (stepMs >= 86_400_000) return text.slice(5, 10);
    return stepMs >= 3_600_000 ? `${text.slice(5, 10)} ${text.slice(11, 16)}` : text.slice(11, 16);
  };

  const options = (chart) => ({
    animation: false,
    responsive: true,
    maintainAspectRatio: false,
    interaction: { mode: "index", intersect: false },
    spanGaps: true,
    plugins: {
      legend: {
        display: chart.series.length > 1,
        position: "bottom",
        align: "start",
        labels: { color: ink(), boxWidth: 8, boxHeight: 8, font: { size: 10 } },
      },
    },
    scales: {
      x: {
        stacked: chart.stacked,
        grid: { display: false },
        border: { display: false },
        ticks: { color: ink(), maxRotation: 0, autoSkip: true, maxTicksLimit: 6, font: { size: 10 } },
      },
      y: {
        stacked: chart.stacked,
        beginAtZero: chart.kind === "bar",
        grid: { color: lines() },
        border: { display: false },
        ticks: { color: ink(), maxTicksLimit: 5, font: { size: 10 }, callback: (value) => short(value) },
      },
    },
  });

  const datasets = (chart) =>
    chart.series.map((line, index) => {
      const colour = COLOURS[index % COLOURS.length];
      return {
        label: line.label || chart.title,
        data: line.values,
        borderColor: colour,
        backgroundColor: colour,
        borderWidth: chart.kind === "line" ? 1.5 : 0,
        pointRadius: line.values.filter((value) => value !== null).length === 1 ? 2 : 0,
        tension: 0,
      };
    });

  const place = (chart) => {
    const card = make("section", "", "ops-card ops-chart");
    const title = make("h2", chart.title);
    title.append(make("span", chart.unit));
    const box = make("div", "", "ops-canvas");
    const canvas = make("canvas");
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `${chart.title} over time`);
    box.append(canvas);
    card.append(title, box);
    document.getElementById("charts").append(card);
    return canvas;
  };

  const draw = (answer) => {
    const labels = answer.times.map((time) => label(time, answer.step_ms));
    for (const chart of answer.charts) {
      const data = { labels, datasets: datasets(chart) };
      const known = drawn.get(chart.name);
      if (known) {
        known.data = data;
        known.options = options(chart);
        known.update("none");
      } else {
        const config = { type: chart.kind, data, options: options(chart) };
        drawn.set(chart.name, new window.Chart(place(chart), config));
      }
    }
  };

  return { draw };
})();
