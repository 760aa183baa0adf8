// Whether a pointer or a key is down on an element: what is pressed must still be there when it is let go,
// or the browser sees no click.

export class Press {
  constructor(element) {
    this.down = false;
    for (const begin of ["pointerdown", "keydown"]) element.addEventListener(begin, () => { this.down = true; });
    for (const end of ["pointerup", "pointercancel", "keyup", "blur"]) {
      // The click comes in the same task, right after.
      window.addEventListener(end, () => setTimeout(() => { this.down = false; }));
    }
  }
}
