// Whether a pointer is down on an element: what is pressed must still be there when it is let go,
// or the browser sees no click.

export class Press {
  constructor(element) {
    this.down = false;
    element.addEventListener("pointerdown", () => { this.down = true; });
    for (const end of ["pointerup", "pointercancel", "blur"]) {
      // The click comes in the same task, right after.
      window.addEventListener(end, () => setTimeout(() => { this.down = false; }));
    }
  }
}
