// The large picture: zoom, shift, where the pointer is in the frame, and what lies on top. Knows canvases, not tracks.

export class Stage {
  constructor(element, canvas) {
    this.element = element;
    this.canvas = canvas;
    this.size = [1, 1];
    this.scale = 1;
    this.left = 0;
    this.top = 0;
    this.fitted = true;
    this.scene = null; // { bitmap, layers: [{ canvas, alpha }], marks: (context, scale) => void }
    this.twins = [];
    new ResizeObserver(() => { if (this.fitted) this.fit(); else this.draw(); }).observe(element);
    element.addEventListener('wheel', (event) => {
      event.preventDefault();
      this.zoom(event.deltaY < 0 ? 1.2 : 1 / 1.2, event.offsetX, event.offsetY);
    }, { passive: false });
    this.shifting();
  }

  setSize(width, height) {
    if (this.size[0] !== width || this.size[1] !== height) { this.size = [width, height]; this.fit(); }
  }

  /** Show the whole frame. */
  fit() {
    const { clientWidth: w, clientHeight: h } = this.element;
    if (!w || !h) return;
    this.scale = Math.min(w / this.size[0], h / this.size[1]);
    this.left = (w - this.size[0] * this.scale) / 2;
    this.top = (h - this.size[1] * this.scale) / 2;
    this.fitted = true;
    this.share();
    this.draw();
  }

  zoom(factor, x = this.element.clientWidth / 2, y = this.element.clientHeight / 2) {
    const scale = Math.max(0.1, Math.min(40, this.scale * factor));
    this.left = x - ((x - this.left) * scale) / this.scale;
    this.top = y - ((y - this.top) * scale) / this.scale;
    this.scale = scale;
    this.fitted = false;
    this.share();
    this.draw();
  }

  /** Other stages that show the same part. */
  share() {
    for (const twin of this.twins) {
      Object.assign(twin, { scale: this.scale, left: this.left, top: this.top, fitted: this.fitted, size: this.size });
      twin.draw();
    }
  }

  /** Place of a pointer event in the frame, in pixels. */
  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return [(event.clientX - box.left - this.left) / this.scale, (event.clientY - box.top - this.top) / this.scale];
  }

  shifting() {
    let from = null;
    this.element.addEventListener('pointerdown', (event) => {
      if (event.button === 1 || (event.button === 0 && event.shiftKey)) {
        from = [event.clientX - this.left, event.clientY - this.top];
        this.element.setPointerCapture(event.pointerId);
        event.stopImmediatePropagation();
        event.preventDefault();
      }
    });
    this.element.addEventListener('pointermove', (event) => {
      if (!from) return;
      this.left = event.clientX - from[0];
      this.top = event.clientY - from[1];
      this.fitted = false;
      this.share();
      this.draw();
    });
    this.element.addEventListener('pointerup', () => { from = null; });
  }

  show(scene) {
    this.scene = scene;
    this.draw();
  }

  draw() {
    const sharp = window.devicePixelRatio || 1;
    const w = Math.round(this.element.clientWidth * sharp), h = Math.round(this.element.clientHeight * sharp);
    if (!w || !h) return;
    if (this.canvas.width !== w || this.canvas.height !== h) { this.canvas.width = w; this.canvas.height = h; }
    const context = this.canvas.getContext('2d');
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, w, h);
    if (!this.scene || !this.scene.bitmap) return;
    context.setTransform(this.scale * sharp, 0, 0, this.scale * sharp, this.left * sharp, this.top * sharp);
    context.imageSmoothingEnabled = this.scale < 3;
    context.drawImage(this.scene.bitmap, 0, 0);
    for (const layer of this.scene.layers || []) {
      context.globalAlpha = layer.alpha;
      context.drawImage(layer.canvas, 0, 0);
    }
    context.globalAlpha = 1;
    this.scene.marks?.(context, this.scale);
  }
}
