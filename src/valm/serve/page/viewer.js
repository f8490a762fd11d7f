// The viewer's page: asks the local server, and writes text as text, never as HTML.
"use strict";

const SHOWN_WORDS = 5;

const byId = (id) => document.getElementById(id);
const state = { prompt: "", words: [], answer: null, token: 0, exchanges: new Map(), replacing: null };

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function percent(share) {
  return share >= 0.001 ? `${(100 * share).toFixed(1)} %` : "< 0.1 %";
}

function bar(share) {
  const fill = element("i");
  fill.style.width = `${Math.min(100, 100 * share)}%`;
  const whole = element("div", { className: "bar" }, fill);
  whole.setAttribute("aria-hidden", "true");
  return whole;
}

async function ask(path, options) {
  const response = await fetch(path, options);
  const told = await response.json();
  if (!response.ok) {
    throw new Error([told.error || "the question was refused", told.cure].filter(Boolean).join(": "));
  }
  return told;
}

async function look() {
  const status = byId("status");
  status.className = "";
  status.textContent = "looking …";
  try {
    const exchanges = [...state.exchanges].map(([key, picture]) => {
      const [token, place] = key.split(" ").map(Number);
      return { token, place, picture };
    });
    state.answer = await ask("answers", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ prompt: state.prompt, exchanges, words: state.words }),
    });
  } catch (error) {
    status.className = "failed";
    status.textContent = error.message;
    return;
  }
  state.token = Math.min(state.token, state.answer.tokens.length - 1);
  status.textContent = "";
  byId("result").hidden = false;
  show();
}

function show() {
  showTokens();
  showPictures();
  showModels();
}

function showTokens() {
  const looking = state.answer.models.find((model) => model.sees_retrieved);
  const changed = new Set([...state.exchanges.keys()].map((key) => Number(key.split(" ")[0])));
  byId("tokens").replaceChildren(
    ...state.answer.tokens.map((token, number) => {
      const button = element("button", { type: "button", textContent: token.text });
      button.setAttribute("aria-pressed", String(number === state.token));
      button.classList.toggle("changed", changed.has(number));
      if (looking && looking.on_text) {
        const share = looking.on_text[number];
        button.title = `attention at the end of the prompt: ${percent(share)}`;
        button.append(bar(share));
      }
      button.addEventListener("click", () => {
        state.token = number;
        state.replacing = null;
        show();
        byId("tokens").children[number].focus();
      });
      return button;
    }),
  );
}

function showPictures() {
  const token = state.answer.tokens[state.token];
  byId("pictures-title").textContent = `Pictures of “${token.text.trim()}”`;
  byId("pictures").replaceChildren(...token.pictures.map(pictureCard));
  byId("restore").hidden = state.exchanges.size === 0;
}

function pictureCard(picture, place) {
  const card = element("li", { className: "card" });
  card.classList.toggle("chosen", state.replacing === place);
  if (picture) {
    card.append(
      element("img", { src: `pictures/${picture.id}`, alt: picture.name || picture.caption, width: 160, height: 160 }),
      element("p", { textContent: picture.caption || picture.name }),
    );
    const [weight] = Object.values(picture.weights);
    const facts = [picture.score === null ? "chosen by you" : `score ${picture.score.toFixed(3)}`];
    if (weight !== undefined) {
      facts.push(`attention ${percent(weight)}`);
      card.append(bar(weight));
    }
    card.append(element("p", { className: "facts", textContent: facts.join(" · ") }));
  } else {
    card.append(element("div", { className: "empty", textContent: "no picture" }));
  }
  const drop = element("button", { type: "button", textContent: "Drop", disabled: !picture });
  drop.setAttribute("aria-label", `Drop picture ${place + 1}`);
  drop.addEventListener("click", () => exchange(place, null));
  const replace = element("button", { type: "button", textContent: "Replace" });
  replace.setAttribute("aria-label", `Replace picture ${place + 1}`);
  replace.setAttribute("aria-pressed", String(state.replacing === place));
  replace.addEventListener("click", () => {
    state.replacing = place;
    showPictures();
    byId("find-status").textContent = `Find a picture and choose it: it takes place ${place + 1} of “${state.answer.tokens[state.token].text.trim()}”.`;
    byId("text").focus();
  });
  card.append(element("div", { className: "buttons" }, drop, replace));
  return card;
}

function exchange(place, picture) {
  state.exchanges.set(`${state.token} ${place}`, picture);
  state.replacing = null;
  look();
}

function wordTable(caption, words) {
  const rows = words.map((word) =>
    element(
      "tr",
      {},
      element("th", { scope: "row", textContent: word.text }),
      element("td", {}, bar(word.probability)),
      element("td", { textContent: percent(word.probability) }),
    ),
  );
  return element("table", { className: caption }, element("caption", { textContent: caption }), element("tbody", {}, ...rows));
}

function showModels() {
  byId("models").replaceChildren(
    ...state.answer.models.map((model) => {
      const card = element(
        "section",
        { className: "model" },
        element("h3", { textContent: model.label }),
        wordTable("likeliest", model.likeliest),
      );
      if (model.compared.length > 0) {
        const order = [...model.compared].sort((one, other) => other.probability - one.probability);
        card.append(wordTable("compared", order.slice(0, SHOWN_WORDS)));
      }
      card.style.borderLeftColor = model.colour;
      card.dataset.key = model.key;
      if (model.on_pictures !== null) {
        card.append(element("p", { className: "hint", textContent: `attention on pictures at the last token: ${percent(model.on_pictures)}` }));
      }
      return card;
    }),
  );
}

function foundCard(picture) {
  const button = element("button", { type: "button", textContent: "Use" });
  button.setAttribute("aria-label", `Use ${picture.name || picture.caption}`);
  button.addEventListener("click", () => {
    if (state.replacing === null) {
      byId("find-status").textContent = "Press “Replace” at a picture first; then “Use” puts this one there.";
      return;
    }
    exchange(state.replacing, picture.id);
    byId("find-status").textContent = "";
  });
  return element(
    "li",
    { className: "card" },
    element("img", { src: `pictures/${picture.id}`, alt: picture.name || picture.caption, loading: "lazy", width: 100, height: 100 }),
    element("p", { textContent: picture.name || picture.caption }),
    element("div", { className: "buttons" }, button),
  );
}

byId("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  state.prompt = byId("prompt").value;
  state.words = byId("words").value.split(/[\s,]+/).filter(Boolean);
  state.exchanges.clear();
  state.replacing = null;
  state.token = Number.MAX_SAFE_INTEGER;
  look();
});

byId("restore").addEventListener("click", () => {
  state.exchanges.clear();
  look();
});

byId("find").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    const found = await ask(`found?text=${encodeURIComponent(byId("text").value)}`);
    byId("found").replaceChildren(...found.map(foundCard));
    if (found.length === 0) byId("find-status").textContent = "nothing found";
  } catch (error) {
    byId("find-status").textContent = error.message;
  }
});
