// For keyboards and screen readers: wide blocks can be scrolled, captions of the menu say their level, and the bars
// around a page are landmarks with names of their own.
document.addEventListener("DOMContentLoaded", () => {
  for (const block of document.querySelectorAll("pre, .table-wrapper")) block.tabIndex = 0;
  for (const caption of document.querySelectorAll("p.caption[role=heading]")) caption.setAttribute("aria-level", "2");
  document.querySelector(".sidebar-drawer")?.setAttribute("aria-label", "All pages");
  document.querySelector(".toc-drawer")?.setAttribute("aria-label", "This page");
  const tools = document.querySelector(".content-icon-container");
  tools?.setAttribute("role", "navigation");
  tools?.setAttribute("aria-label", "Source of this page");
});
