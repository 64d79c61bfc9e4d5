/* Files that a user chooses, drops or records: decoded by the browser into what adapters take. */
"use strict";

(() => {
  const MOST_PIXELS = 16e6; // larger pictures are made smaller as they are decoded

  /* Return the grey levels of a PNG file of 16 bits, {width, height, deep: Uint16Array}, which
     browsers would cut to 8; null for all other files, and if its rows do not follow each other. */
  async function deepPicture(content) {
    const view = new DataView(content);
    const isDeep = content.byteLength > 33 && view.getUint32(0) === 0x89504e47
      && view.getUint8(24) === 16 && view.getUint8(25) === 0 && view.getUint8(28) === 0;
    if (!isDeep || typeof DecompressionStream === "undefined") return null;
    const [width, height] = [view.getUint32(16), view.getUint32(20)];
    const parts = [];
    for (let place = 8; place + 12 <= content.byteLength;) {
      const size = view.getUint32(place);
      const name = view.getUint32(place + 4);
      if (name === 0x74524e53) return null; // tRNS: a level that is not opaque
      if (name === 0x49444154) parts.push(new Uint8Array(content, place + 8, size));
      place += 12 + size;
    }
    const stream = new Blob(parts).stream().pipeThrough(new DecompressionStream("deflate"));
    const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
    return bytes.length < (2 * width + 1) * height ? null
      : { width, height, deep: unfiltered(bytes, width, height) };
  }

  /* Undo the filters of a PNG's rows: each byte was told by those to the left and above. */
  function unfiltered(bytes, width, height) {
    const length = 2 * width;
    const deep = new Uint16Array(width * height);
    let above = new Uint8Array(length);
    for (let row = 0; row < height; row += 1) {
      const start = row * (length + 1);
      const line = bytes.slice(start + 1, start + 1 + length);
      for (let i = 0; i < length; i += 1) {
        const left = i < 2 ? 0 : line[i - 2];
        const corner = i < 2 ? 0 : above[i - 2];
        line[i] += [0, left, above[i], (left + above[i]) >> 1, nearest(left, above[i], corner)][bytes[start]];
      }
      for (let x = 0; x < width; x += 1) deep[row * width + x] = line[2 * x] * 256 + line[2 * x + 1];
      above = line;
    }
    return deep;
  }

  /* The one of three neighbours that is nearest to left + above - corner (Paeth's). */
  function nearest(left, above, corner) {
    const [a, b, c] = [
      Math.abs(above - corner), Math.abs(left - corner), Math.abs(left + above - 2 * corner),
    ];
    if (a <= b && a <= c) return left;
    return b <= c ? above : corner;
  }

  /* Return a picture as the image adapter takes it: {width, height, data, opaque, jpeg}, or
     {width, height, deep}, or as `gridcnn.pixels.jpegItem` makes it, all with `file`; and a canvas that
     shows it. */
  async function picture(file, adapter) {
    let bitmap;
    // Neither colour profiles nor opacity may change the numbers that the file holds.
    const exact = { colorSpaceConversion: "none", premultiplyAlpha: "none" };
    try {
      bitmap = await createImageBitmap(file, exact);
    } catch {
      throw new gridcnn.Problem(`this browser cannot read '${file.name || "the file"}' as a picture`);
    }
    const pixels = bitmap.width * bitmap.height;
    if (pixels > adapter.max_pixels) {
      throw new gridcnn.Problem(
        `the picture has ${pixels} pixels; the model takes at most ${adapter.max_pixels}`,
      );
    }
    const scale = Math.min(1, Math.sqrt(MOST_PIXELS / pixels));
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(bitmap.width * scale));
    canvas.height = Math.max(1, Math.round(bitmap.height * scale));
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    bitmap.close();
    const item = pixelsOf(canvas);
    const content = await file.arrayBuffer();
    const exactly = (gridcnn.jpeg && gridcnn.pixels.jpegItem(adapter, new Uint8Array(content)))
      || await deepPicture(content).catch(() => null);
    if (exactly) return { item: { ...exactly, file }, canvas };
    item.file = file;
    const head = new Uint8Array(content, 0, Math.min(65536, content.byteLength));
    item.jpeg = head[0] === 0xff && head[1] === 0xd8;
    item.opaque = item.jpeg || isOpaque(head, item.data);
    return { item, canvas };
  }

  function pixelsOf(canvas) {
    const { width, height } = canvas;
    const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
    return { width, height, data, opaque: true };
  }

  /* Whether a file has no opacity. One that has, though all of it is opaque, is resized with more
     digits by Pillow. */
  function isOpaque(head, data) {
    if (head[0] === 0x89 && head[1] === 0x50) {
      const text = new TextDecoder("latin1").decode(head);
      const body = text.indexOf("IDAT");
      const mark = text.indexOf("tRNS");
      return head[25] !== 4 && head[25] !== 6 && !(mark > 0 && (body < 0 || mark < body));
    }
    for (let i = 3; i < data.length; i += 4) if (data[i] < 255) return false;
    return true;
  }

  /* Return a sound as the audio adapter takes it: {samples, rate}. */
  async function sound(file) {
    const content = await file.arrayBuffer();
    const plain = gridcnn.sounds.wave(content);
    if (plain) return plain;
    const rate = gridcnn.sounds.declaredRate(content) || 48000;
    let decoded;
    try {
      // A context of the file's own rate, so that the browser does not convert it.
      decoded = await new OfflineAudioContext(1, 1, rate).decodeAudioData(content);
    } catch {
      throw new gridcnn.Problem(`this browser cannot read '${file.name || "the file"}' as a sound`);
    }
    const samples = new Float32Array(decoded.length);
    for (let channel = 0; channel < decoded.numberOfChannels; channel += 1) {
      decoded.getChannelData(channel).forEach((sample, i) => { samples[i] += sample; });
    }
    return { samples: samples.map((each) => each / decoded.numberOfChannels), rate: decoded.sampleRate };
  }

  /* Let files be chosen, dropped on an element, and (pictures) pasted. Returns the button. */
  function chooser(element, { accept, label, take }) {
    const input = gridcnn.make("input", { type: "file", accept, class: "unseen", tabindex: "-1",
      "aria-label": label });
    const button = gridcnn.make("button", { type: "button", onclick: () => input.click() }, label);
    input.addEventListener("change", () => {
      if (input.files.length) take(input.files[0]);
      input.value = "";
    });
    element.addEventListener("dragover", (event) => {
      event.preventDefault();
      element.classList.add("dropping");
    });
    element.addEventListener("dragleave", () => element.classList.remove("dropping"));
    element.addEventListener("drop", (event) => {
      event.preventDefault();
      element.classList.remove("dropping");
      const [file] = event.dataTransfer.files;
      if (file) take(file);
    });
    document.addEventListener("paste", (event) => {
      const [file] = event.clipboardData.files;
      if (file) take(file);
    });
    return [button, input];
  }

  /* Let the browser save content as a file. */
  function save(blob, name) {
    const link = gridcnn.make("a", { href: URL.createObjectURL(blob), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  gridcnn.files = { chooser, deepPicture, picture, pixelsOf, save, sound };
})();
