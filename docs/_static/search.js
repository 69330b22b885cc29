// Search results are plain text, in which formulas would be TeX: show their symbols instead.
const SYMBOLS = {
  alpha: "α", beta: "β", gamma: "γ", delta: "δ", Delta: "Δ", epsilon: "ε", eta: "η", theta: "θ", Theta: "Θ",
  lambda: "λ", sigma: "σ", tau: "τ", Phi: "Φ", sum: "∑", partial: "∂", infty: "∞", cdot: "·", times: "×",
  le: "≤", ge: "≥", ne: "≠", ll: "≪", gg: "≫", to: "→", in: "∈", approx: "≈", ldots: "…", dots: "…",
  lvert: "|", rvert: "|", Vert: "‖", mid: "|", log: "log", max: "max", min: "min",
};

const plain = (tex) =>
  tex.replace(/\\([a-zA-Z]+)/g, (_, name) => SYMBOLS[name] ?? "").replace(/[{}\\]/g, "");

addEventListener("DOMContentLoaded", () => {
  if (typeof Search === "undefined") return;
  const text = Search.htmlToText;
  Search.htmlToText = (html, anchor) =>
    text(html, anchor).replace(/\\\((.*?)\\\)|\\\[(.*?)\\\]/gs, (_, inline, display) => plain(inline ?? display));
});
