// Draws the charts and switches the trend's series. The figures come from the page; no network.
"use strict";
(() => {
  const { trend, charts } = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const options = {
    mode: "vega-lite",
    actions: false,
    renderer: "svg",
    ast: true, // The page's policy forbids eval; Vega interprets its expressions instead.
    logLevel: 1, // Errors; a trend without signals would be warned of for its empty layers.
    tooltip: { theme: "custom" },
  };
  const failed = (place) => (error) => {
    place.textContent = "The chart could not be drawn; its figures are in the table.";
    console.error(error);
  };
  const draw = (place, spec) => window.vegaEmbed(place, spec, options).catch(failed(place));

  // Charts that are hidden have no width to fill and are drawn when they are shown.
  const drawn = new Set();
  const drawVisible = () => {
    for (const place of document.querySelectorAll("[data-chart]")) {
      const name = place.dataset.chart;
      if (!drawn.has(name) && charts[name] && place.offsetParent !== null) {
        drawn.add(name);
        draw(place, charts[name]);
      }
    }
  };

  const kpiSelect = byId("trend-kpi");
  const grainSelect = byId("trend-grain");
  for (const kpi of trend.kpis) kpiSelect.add(new Option(kpi.name, kpi.id));

  const rowsOf = (series, grain) => {
    const incomplete = new Set(series.incomplete);
    const bounds = [series.lower, series.upper].filter(Boolean).map((limit) => limit.value);
    const whole = series.values.filter((value, at) => value !== null && !incomplete.has(at));
    const ends = whole.length || bounds.length ? [...whole, ...bounds] : series.values;
    const low = Math.min(...ends);
    const high = Math.max(...ends);
    return series.periods.map((period, at) => {
      const target = series.targets ? series.targets[at] : null;
      return {
        period,
        label: trend.labels[grain][period],
        value: series.values[at],
        // An incomplete period stands at the edge where it would stretch the axis.
        shown: series.values[at] === null ? null : Math.min(high, Math.max(low, series.values[at])),
        text: series.texts[at],
        mean: series.mean && series.mean.value,
        lower: series.lower && series.lower.value,
        upper: series.upper && series.upper.value,
        target,
        target_text: target === null ? "–" : targetText(series, target),
        signal: trend.signals[series.signals[at]] || null,
        rule: series.signals[at] || null,
        is_complete: !incomplete.has(at),
        note: incomplete.has(at) ? "Incomplete period" : trend.signals[series.signals[at]] || "–",
      };
    });
  };
  const targetText = (series, target) =>
    series.target_texts[target] ?? series.target_texts[target.toFixed(1)] ?? String(target);

  // As the page's other figures: a link to the definition that says, to machines, what it is.
  const figure = (kpi, grain, row, field, text) => {
    const link = document.createElement("a");
    link.className = "figure";
    link.href = `#${kpi.anchor}`;
    link.tabIndex = -1;
    link.textContent = text;
    Object.assign(link.dataset, {
      kpi: kpi.id,
      grain,
      period: row.period,
      slice: "all",
      sliceValue: "all",
      field,
      value: row[field] ?? "",
    });
    return link;
  };

  const fillTable = (rows, kpi, grain) => {
    const body = byId("trend-table").tBodies[0];
    body.replaceChildren(
      ...rows.toReversed().map((row) => {
        const line = document.createElement("tr");
        const head = document.createElement("th");
        head.scope = "row";
        head.textContent = row.label;
        line.append(head);
        for (const [content, kind] of [
          [figure(kpi, grain, row, "value", row.text), "number"],
          [figure(kpi, grain, row, "target", row.target_text), "number"],
          [row.note, row.rule ? "signal" : "muted"],
        ]) {
          const cell = document.createElement("td");
          cell.append(content);
          cell.className = kind;
          line.append(cell);
        }
        return line;
      }),
    );
  };

  const showTrend = () => {
    const kpi = trend.kpis.find((one) => one.id === kpiSelect.value);
    if (!kpi) return;
    for (const option of grainSelect.options) {
      option.disabled = !(`${kpi.id}/${option.value}` in trend.series);
    }
    if (!grainSelect.selectedOptions[0] || grainSelect.selectedOptions[0].disabled) {
      const first = [...grainSelect.options].find((option) => !option.disabled);
      if (first) grainSelect.value = first.value;
    }
    const grain = grainSelect.value;
    const place = byId("chart-trend");
    const series = trend.series[`${kpi.id}/${grain}`];
    byId("trend-name").textContent = kpi.name;
    byId("trend-question").textContent = kpi.question;
    for (const id of ["trend-link", "trend-range", "trend-mean", "trend-target"]) {
      byId(id).href = `#${kpi.anchor}`;
    }
    if (!series) {
      place.textContent = "There are no figures yet.";
      byId("trend-summary").textContent = "";
      fillTable([], kpi, grain);
      return;
    }
    const rows = rowsOf(series, grain);
    const rules = new Set(rows.map((row) => row.rule));
    for (const item of document.querySelectorAll("[data-legend]")) {
      const name = item.dataset.legend;
      item.hidden = {
        band: !series.lower,
        mean: !series.mean,
        target: !series.targets,
        incomplete: series.incomplete.length === 0,
      }[name] ?? !rules.has(name);
    }
    const targets = rows.filter((row) => row.target !== null);
    byId("trend-range").textContent = series.lower ? `${series.lower.text} to ${series.upper.text}` : "";
    byId("trend-mean").textContent = series.mean ? series.mean.text : "";
    byId("trend-target").textContent = targets.length ? targets.at(-1).target_text : "";
    const known = rows.filter((row) => row.is_complete && row.value !== null);
    const last = known.at(-1);
    const signals = rows.filter((row) => row.rule).length;
    const length = rows.length === 1 ? "1 period" : `${rows.length} periods`;
    const counted = signals === 1 ? "1 signal" : `${signals || "no"} signals`;
    byId("trend-summary").textContent = last
      ? `${last.label}: ${last.text}. ${length}, ${counted}. ${kpi.direction}.`
      : "No complete period has a value yet.";
    place.setAttribute(
      "aria-label",
      `${kpi.name} by ${grain}, ${length}, ${counted}. The table below has the figures.`,
    );
    fillTable(rows, kpi, grain);
    const spec = structuredClone(charts[`trend-${kpi.unit}`] ?? charts["trend-count"]);
    spec.datasets = { series: rows };
    for (const { encoding } of spec.layer) {
      encoding.y.axis.format = series.axis.format;
      if (series.axis.domain) encoding.y.scale.domain = series.axis.domain;
    }
    return draw(place, spec);
  };
  kpiSelect.addEventListener("change", showTrend);
  grainSelect.addEventListener("change", showTrend);
  showTrend();

  const driverSelect = byId("driver-grain");
  if (driverSelect) {
    driverSelect.addEventListener("change", () => {
      for (const part of document.querySelectorAll("[data-driver-grain]")) {
        part.hidden = part.dataset.driverGrain !== driverSelect.value;
      }
      drawVisible();
    });
  }
  drawVisible();
})();
