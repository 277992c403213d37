/* Draws the page's figures when they come near the screen, in the colours of the page; and its small conveniences.
   Everything it reads stands in the page. It fetches nothing, and evaluates nothing. */
(function () {
  "use strict";
  var root = document.documentElement;
  root.classList.remove("no-js");

  var NAMES = ["c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7", "ink", "muted", "line", "paper", "surface", "low", "mid", "high"];
  var TOKEN = /^@([a-z]+[0-7]?)(?:\/([0-9.]+))?$/;
  /* Texts of the data: never names of colours, whatever they say. */
  var TEXTS = { text: 1, hovertext: 1, ticktext: 1, name: 1, customdata: 1 };
  var coarse = window.matchMedia("(pointer: coarse)").matches;
  var printing = false;

  function colours() {
    var css = getComputedStyle(root), found = {};
    NAMES.forEach(function (name) { found[name] = css.getPropertyValue("--" + name).trim(); });
    found.sans = css.getPropertyValue("--sans").trim();
    return found;
  }

  function translucent(hex, alpha) {
    var n = parseInt(hex.slice(1), 16);
    return "rgba(" + [n >> 16, (n >> 8) & 255, n & 255, alpha].join(",") + ")";
  }

  function resolved(value, theme) {
    if (typeof value === "string") {
      var match = TOKEN.exec(value);
      if (!match) return value;
      if (match[1] === "scale") return [[0, theme.low], [0.5, theme.mid], [1, theme.high]];
      if (match[1] === "drag") return coarse ? false : "zoom";
      var colour = theme[match[1]];
      return colour && match[2] ? translucent(colour, match[2]) : colour || value;
    }
    if (Array.isArray(value)) return value.map(function (one) { return resolved(one, theme); });
    if (value && typeof value === "object") {
      var copy = {};
      Object.keys(value).forEach(function (key) {
        copy[key] = TEXTS[key] && typeof value[key] !== "object" || TEXTS[key] && Array.isArray(value[key])
          ? value[key] : resolved(value[key], theme);
      });
      return copy;
    }
    return value;
  }

  function layoutOf(figure, view, theme, width) {
    var own = resolved(Object.assign({}, figure.spec.layout, view.layout), theme);
    var narrow = width < 480;
    var base = {
      autosize: !printing, height: heightOf(figure, width), paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: theme.sans, size: printing ? 10 : narrow ? 11.5 : 13, color: theme.ink },
      margin: { l: 6, r: narrow ? 8 : 16, t: 10, b: 40, pad: 4 },
      hoverlabel: { bgcolor: theme.surface, bordercolor: theme.muted, font: { color: theme.ink, size: 13, family: theme.sans }, align: "left" },
      legend: { orientation: "h", x: 0, xanchor: "left", y: 1.01, yanchor: "bottom", font: { size: narrow ? 11 : 12.5 }, itemclick: "toggle", itemdoubleclick: false, bgcolor: "rgba(0,0,0,0)" },
      showlegend: false, dragmode: false, bargap: 0.2
    };
    if (own.annotations) own.annotations.forEach(function (one) { one.text = wrapped(one.text, Math.floor((width - 150) / 6)); });
    if (printing) base.width = width;
    Object.keys(own).forEach(function (key) {
      if (/^[xy]axis/.test(key)) {
        var axis = Object.assign({ automargin: true, gridcolor: theme.line, linecolor: theme.line, zerolinecolor: theme.muted, zerolinewidth: 1 }, own[key]);
        var room = key[0] === "x" ? width - 130 : base.height - 110;
        var title = own[key].title ? { text: wrapped(own[key].title.text, Math.floor(room / 6.2)) } : {};
        axis.title = Object.assign({ standoff: 8, font: { size: printing ? 10 : narrow ? 11.5 : 12.5, color: theme.muted } }, title);
        base[key] = axis;
      } else {
        base[key] = own[key];
      }
    });
    return base;
  }

  /* A title in lines that have room; words are not broken. */
  function wrapped(text, most) {
    var lines = [""];
    text.split(" ").forEach(function (word) {
      var last = lines[lines.length - 1];
      if (last && (last + " " + word).length > most) lines.push(word);
      else lines[lines.length - 1] = last ? last + " " + word : word;
    });
    return lines.join("<br>");
  }

  function heightOf(figure, width) {
    var spec = figure.spec;
    return Math.round((spec.ratio ? Math.min(spec.height, 70 + width * spec.ratio) : spec.height) * (printing ? 0.82 : 1));
  }

  function printWidth(figure) { return figure.box.closest(".pair") ? 325 : 670; }

  function draw(figure) {
    var theme = colours(), view = figure.spec.views[figure.view];
    var width = printing ? printWidth(figure) : figure.box.clientWidth;
    var layout = layoutOf(figure, view, theme, width);
    var config = { displayModeBar: false, responsive: true, scrollZoom: false, doubleClick: "reset", showTips: false };
    if (!figure.drawn) figure.box.textContent = "";
    figure.box.style.height = layout.height + "px";
    Plotly.react(figure.box, resolved(view.traces, theme), layout, config);
    if (!figure.drawn) {
      figure.drawn = true;
      figure.box.dataset.drawn = "";
      if (figure.spec.cards) carded(figure);
    }
  }

  function show(figure, label) {
    var place = figure.spec.views.findIndex(function (view) { return view.label === label; });
    if (place < 0) return;
    figure.view = place;
    figure.controls().forEach(function (control) {
      if (control.tagName === "SELECT") control.value = label;
      else control.setAttribute("aria-pressed", String(control.value === label));
    });
    if (figure.drawn) draw(figure);
  }

  function chosen(control, figures) {
    var linked = control.closest("[data-linked]");
    var name = linked ? linked.dataset.linked : "";
    figures.forEach(function (figure) {
      if (name ? figure.spec.linked === name : figure.element.contains(control)) show(figure, control.value);
    });
  }

  /* In the view of that name each point is its picture, framed in the colour of its class. */
  function pictured(figure) {
    var cards = figure.spec.cards, canvas = figure.element.querySelector(".overlay");
    var view = figure.spec.views[figure.view], layout = figure.box._fullLayout;
    var on = view.label === cards.pictures && layout && figure.sheet.complete;
    if (canvas) canvas.remove();
    figure.box.classList.toggle("pictured", on);
    if (!on) return;
    canvas = document.createElement("canvas");
    canvas.className = "overlay";
    var dense = window.devicePixelRatio || 1, width = figure.box.clientWidth, height = figure.box.clientHeight;
    canvas.width = width * dense;
    canvas.height = height * dense;
    canvas.style.width = width + "px";
    canvas.style.height = height + "px";
    var pen = canvas.getContext("2d"), x = layout.xaxis, y = layout.yaxis;
    var span = Math.abs(x.range[1] - x.range[0]), side = Math.min(96, Math.max(18, width / 27 * figure.span / span));
    pen.scale(dense, dense);
    pen.beginPath();
    pen.rect(x._offset, y._offset, x._length, y._length);
    pen.clip();
    figure.box._fullData.forEach(function (trace) {
      pen.strokeStyle = trace.marker.color;
      pen.lineWidth = 2;
      trace.x.forEach(function (value, n) {
        var i = trace.customdata[n], left = x._offset + x.l2p(value) - side / 2, top = y._offset + y.l2p(trace.y[n]) - side / 2;
        pen.drawImage(figure.sheet, i % cards.columns * cards.side, Math.floor(i / cards.columns) * cards.side, cards.side, cards.side, left, top, side, side);
        pen.strokeRect(left, top, side, side);
      });
    });
    figure.box.appendChild(canvas);
  }

  /* The picture of the point under the pointer, cut out of the sheet that holds all of them. */
  function carded(figure) {
    var tip = figure.element.querySelector(".tip"), sheet = tip.querySelector("img"), lines = tip.querySelector(".lines");
    var cards = figure.spec.cards, scale = 96 / cards.side, range = figure.box._fullLayout.xaxis.range;
    figure.sheet = sheet;
    figure.span = Math.abs(range[1] - range[0]);
    figure.box.on("plotly_afterplot", function () { pictured(figure); });
    figure.box.on("plotly_hover", function (event) {
      var point = event.points[0], i = point.customdata;
      if (typeof i !== "number") return;
      lines.textContent = "";
      cards.lines[i].forEach(function (text) {
        var p = document.createElement("p");
        p.textContent = text;
        lines.appendChild(p);
      });
      var left = i % cards.columns * cards.side, top = Math.floor(i / cards.columns) * cards.side;
      sheet.style.transform = "scale(" + scale + ") translate(" + -left + "px," + -top + "px)";
      tip.hidden = false;
      var frame = figure.box.getBoundingClientRect();
      var x = point.xaxis.l2p(point.x) + point.xaxis._offset, y = point.yaxis.l2p(point.y) + point.yaxis._offset;
      x = x + 14 + tip.offsetWidth > frame.width ? Math.max(0, x - 14 - tip.offsetWidth) : x + 14;
      y = Math.max(0, Math.min(y - 20, frame.height - tip.offsetHeight));
      tip.style.left = x + "px";
      tip.style.top = figure.box.offsetTop + y + "px";
    });
    figure.box.on("plotly_unhover", function () { tip.hidden = true; });
    figure.box.on("plotly_relayout", function () { tip.hidden = true; });
  }

  function figuresOf(page) {
    return Array.prototype.map.call(page.querySelectorAll("figure.plot"), function (element) {
      var figure = {
        element: element, box: element.querySelector(".canvas"), view: 0, drawn: false,
        spec: JSON.parse(element.querySelector("script").textContent)
      };
      figure.controls = function () {
        var own = element.querySelectorAll(".choice button, .choice select");
        var shared = figure.spec.linked ? page.querySelectorAll('[data-linked="' + figure.spec.linked + '"] button, [data-linked="' + figure.spec.linked + '"] select') : [];
        return Array.prototype.concat.call([], Array.from(own), Array.from(shared));
      };
      figure.box.style.height = heightOf(figure, figure.box.clientWidth) + "px";
      return figure;
    });
  }

  var figures = window.Plotly ? figuresOf(document) : [];
  function redraw() { figures.forEach(function (figure) { if (figure.drawn) draw(figure); }); }

  document.querySelectorAll(".choice button").forEach(function (button) {
    button.addEventListener("click", function () { chosen(button, figures); });
  });
  document.querySelectorAll(".choice select").forEach(function (select) {
    select.addEventListener("change", function () { chosen(select, figures); });
  });

  if ("IntersectionObserver" in window) {
    var near = new IntersectionObserver(function (entries) {
      entries.forEach(function (entry) {
        if (!entry.isIntersecting) return;
        near.unobserve(entry.target);
        figures.forEach(function (figure) { if (figure.box === entry.target && !figure.drawn) draw(figure); });
      });
    }, { rootMargin: "500px 0px" });
    figures.forEach(function (figure) { near.observe(figure.box); });
  } else {
    figures.forEach(draw);
  }

  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  window.addEventListener("beforeprint", function () {
    printing = true;
    root.classList.add("printing");
    figures.forEach(draw);
  });
  window.addEventListener("afterprint", function () {
    printing = false;
    root.classList.remove("printing");
    redraw();
  });

  /* Contents: closed on a small screen, and the section in view marked. */
  var contents = document.querySelector(".contents details"), small = window.matchMedia("(max-width: 60rem)");
  function folded() { contents.open = !small.matches; }
  folded();
  small.addEventListener("change", folded);
  var links = {};
  document.querySelectorAll(".contents a").forEach(function (link) {
    links[link.hash.slice(1)] = link;
    link.addEventListener("click", function () { if (small.matches) contents.open = false; });
  });
  function marked(id) {
    Object.keys(links).forEach(function (name) {
      if (name === id) links[name].setAttribute("aria-current", "true");
      else links[name].removeAttribute("aria-current");
    });
  }
  if ("IntersectionObserver" in window) {
    var seen = new IntersectionObserver(function (entries) {
      entries.forEach(function (entry) { if (entry.isIntersecting) marked(entry.target.id); });
    }, { rootMargin: "-15% 0px -80% 0px" });
    document.querySelectorAll("main > section").forEach(function (section) { seen.observe(section); });
  }
})();
