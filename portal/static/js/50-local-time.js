// Pages cached for many show the portal domain's zone by name; the reader's own is known only here.
// `<html class="local-times">` asks for it; "how long ago" is kept true on every page while it stays open.
(() => {
  "use strict";
  const MINUTE = 60_000;
  const units = [["day", 1440], ["hour", 60], ["minute", 1]];
  const { lang } = document.documentElement;

  const absolute = new Intl.DateTimeFormat(lang === "en" ? "en-GB" : lang, {
    day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZoneName: "short",
  });
  const relative = new Intl.RelativeTimeFormat(lang, { numeric: "always" });

  // The same steps as ago() on the server: minutes below an hour, hours below two days, then days.
  const ago = (moment) => {
    const minutes = (moment - Date.now()) / MINUTE;
    const size = Math.abs(minutes);
    if (size < 1) return null;
    const [unit, length] = units[size >= 2880 ? 0 : size >= 60 ? 1 : 2];
    return relative.format(Math.trunc(minutes / length), unit);
  };

  // As local_window() on the server: the zone once unless clocks change between them, the day once if it is the same.
  const read = (moment) => {
    const text = absolute.format(moment);
    const zone = text.slice(text.lastIndexOf(" "));
    const bare = text.slice(0, -zone.length);
    return { text, zone, bare, day: bare.slice(0, -5), clock: bare.slice(-5) };
  };
  const between = (start, end) => {
    const [from, to] = [read(start), read(end)];
    if (from.zone !== to.zone) return `${from.text} – ${to.text}`;
    return `${from.bare} – ${from.day === to.day ? to.clock + to.zone : to.text}`;
  };

  const refresh = () => {
    const own = document.documentElement.classList.contains("local-times");
    for (const time of document.querySelectorAll("time[data-ago], time[data-local]")) {
      const moment = new Date(time.dateTime);
      if (Number.isNaN(moment.getTime())) continue;
      if (own) {
        const text = time.dataset.until ? between(moment, new Date(time.dataset.until)) : absolute.format(moment);
        if ("ago" in time.dataset) time.title = text;
        else if (time.textContent !== text) time.textContent = text;
      }
      const words = "ago" in time.dataset ? ago(moment) : null;
      if (words && time.textContent !== words) time.textContent = words;
    }
  };
  document.addEventListener("DOMContentLoaded", refresh);
  document.addEventListener("htmx:after:swap", refresh);
  setInterval(refresh, MINUTE / 2);
})();
