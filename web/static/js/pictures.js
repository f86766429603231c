// Pictures of an answer: chosen, dropped or pasted, they are handed over at once, and what they show is asked for.
(() => {
  "use strict";

  async function add(form, files) {
    for (const file of files) {
      const box = form.querySelector("#pictures");
      if (!box?.dataset.add) return;
      const body = new FormData();
      for (const field of box.querySelectorAll("[name^='alt-']")) body.append(field.name, field.value);
      body.append("file", file);
      box.setAttribute("aria-busy", "true");
      gensvar.announce(box.dataset.busy);
      let html;
      try {
        const answer = await fetch(box.dataset.add, { method: "POST", body, headers: { "HX-Request": "true" } });
        if (!answer.ok && answer.status !== 422) throw new Error(answer.status);
        html = await answer.text();
      } catch {
        box.removeAttribute("aria-busy");
        gensvar.announce(box.dataset.failed);
        const problem = box.querySelector(".problem") || box.insertBefore(document.createElement("p"), box.children[1]);
        problem.className = "problem";
        problem.textContent = box.dataset.failed;
        return;
      }
      show(form, box, html);
    }
  }

  // What was done is said, and the next thing to do has the focus: the words for the picture that came last.
  function show(form, box, html) {
    const known = new Set([...box.querySelectorAll("[name='picture']")].map((field) => field.value));
    box.replaceWith(gensvar.fragment(html));
    const fresh = form.querySelector("#pictures");
    htmx.process(fresh);
    prepare(fresh);
    const added = [...fresh.querySelectorAll("[name='picture']")].find((field) => !known.has(field.value));
    const words = added && fresh.querySelector(`[name="alt-${added.value}"]`);
    (words || fresh.querySelector("#picture-file") || fresh).focus();
    gensvar.announce(fresh.querySelector(".problem, .told")?.textContent || fresh.querySelector("#alt-why")?.textContent || "");
  }

  const images = (list) => [...(list || [])].filter((file) => file.type.startsWith("image/"));
  const writing = (target) => target.closest?.("#reply-form");

  document.addEventListener("change", (event) => {
    if (event.target.id !== "picture-file") return;
    const files = [...event.target.files];
    event.target.value = "";
    add(event.target.form, files);
  });
  document.addEventListener("paste", (event) => {
    const files = writing(event.target) ? images(event.clipboardData?.files) : [];
    if (files.length) { event.preventDefault(); add(writing(event.target), files); }
  });
  document.addEventListener("dragover", (event) => {
    if (writing(event.target) && event.dataTransfer?.types.includes("Files")) event.preventDefault();
  });
  document.addEventListener("drop", (event) => {
    const files = writing(event.target) ? images(event.dataTransfer?.files) : [];
    if (files.length) { event.preventDefault(); add(writing(event.target), files); }
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.requestConfig?.path.endsWith("/remove") && event.detail.requestConfig.path.includes("/pictures/")) {
      const box = document.getElementById("pictures");
      (box.querySelector("#picture-file") || box).focus();
      gensvar.announce(box.querySelector(".told")?.textContent || "");
    }
  });

  function prepare(root) {
    for (const part of root.querySelectorAll(".pictures .plainly, .plainly")) part.hidden = true; // for browsers without scripts
    for (const input of root.querySelectorAll("#picture-file")) input.multiple = Number(input.closest("fieldset").dataset.most) > 1;
  }
  htmx.onLoad(prepare);
})();
