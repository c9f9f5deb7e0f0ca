
// The live part: asked for each second; the page is loaded again where its report has changed.
const ask = async () => {
  try {
    const now = await (await fetch("live", { cache: "no-store" })).json();
    if (now.version !== byId("live").dataset.version) return location.reload();
    if (byId("state").textContent !== now.state) byId("state").textContent = now.state;
    if (ask.html !== now.html) byId("figures").innerHTML = ask.html = now.html;
  } catch {
    byId("state").textContent = "farzi watch has ended; this page is no longer live.";
  }
  setTimeout(ask, 1000);
};
setTimeout(ask, 500);
