// SPDX-License-Identifier: Apache-2.0
// report_look.js - put into a copy of a report by report.py: tells the page around it what is
// there.
"use strict";
addEventListener("load", () => setTimeout(() => {
  const rows = (selector) => [...document.querySelectorAll(selector + " tbody tr")].map(
    (row) => [...row.cells].map((cell) => cell.textContent));
  const byId = (selector, prefix, value) => Object.fromEntries(
    [...document.querySelectorAll(selector)].map((e) => [e.id.slice(prefix.length), value(e)]));

  // Pixels in the colour of the first series.
  function pixels(canvas) {
    const name = getComputedStyle(document.documentElement).getPropertyValue("--first").trim();
    const [red, green, blue] = [1, 3, 5].map((at) => parseInt(name.slice(at, at + 2), 16));
    const all = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    let found = 0;
    for (let i = 0; i < all.length; i += 4)
      found += all[i] === red && all[i + 1] === green && all[i + 2] === blue && all[i + 3] === 255;
    return found;
  }
  const wide = [...document.querySelectorAll("body *")].filter(
    (e) => e.getBoundingClientRect().right > innerWidth && !e.closest(".scroll"));
  const plots = [...document.querySelectorAll("figure:not(.empty)")];
  const seen = {
    width: innerWidth,
    scroll_width: document.documentElement.scrollWidth,
    wide: wide.map((e) => e.tagName + " " + e.id),
    resources: performance.getEntriesByType("resource").map((e) => e.name),
    policy_holds: /default-src 'none'/.test(
      document.querySelector("meta[http-equiv=Content-Security-Policy]").content),
    figures: byId("[id^=figure-]", "", (e) => ({
      value: e.hasAttribute("value") ? e.getAttribute("value") : e.textContent,
      text: e.textContent
    })),
    canvases: byId("canvas", "canvas-", pixels),
    tables: Object.fromEntries(plots.map((e) => [e.id.slice(5), rows("#" + e.id)])),
    worst: rows("#worst"),
    violations: rows("#violations"),
    verdict_class: document.getElementById("verdict").className,
    document_title: document.title
  };
  parent.postMessage(JSON.stringify(seen), "*");
}, 500));
