// The viewer's page: asks the local server, or what was recorded in this file, and writes text as text, never as HTML.
"use strict";

const SHOWN_WORDS = 5;

const byId = (id) => document.getElementById(id);
const recorded = byId("recorded") && JSON.parse(byId("recorded").textContent);
const state = { prompt: "", words: [], answer: null, token: 0, exchanges: new Map(), replacing: null };

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function percent(share) {
  return share >= 0.001 ? `${(100 * share).toFixed(1)}\u00a0%` : "<\u00a00.1\u00a0%";
}

function bar(share) {
  const fill = element("i");
  fill.style.width = `${Math.min(100, 100 * share)}%`;
  const whole = element("div", { className: "bar" }, fill);
  whole.setAttribute("aria-hidden", "true");
  return whole;
}

function pictureAddress(picture) {
  return recorded ? recorded.pictures[picture.id] : `pictures/${picture.id}`;
}

// A recorded prompt's answer after the one exchange that there may be.
function recalled() {
  const answer = recorded.prompts[state.prompt];
  const [exchanged] = state.exchanges;
  if (!exchanged) return answer;
  const [key, picture] = exchanged;
  const change = answer.changed[`${key} ${picture === null ? "" : picture}`];
  const token = Number(key.split(" ")[0]);
  return {
    ...answer,
    tokens: answer.tokens.map((kept, number) => (number === token ? { ...kept, pictures: change.pictures } : kept)),
    models: answer.models.map((kept) => change.models.find((model) => model.key === kept.key) || kept),
  };
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
    state.answer = recorded
      ? recalled()
      : await ask("answers", {
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

// Who looks at the pictures that were retrieved: those whose answers an exchange moves.
function looking() {
  return state.answer.models.filter((model) => model.sees_retrieved);
}

function showTokens() {
  const [first] = looking();
  byId("first-looking").textContent = first ? first.label : "a model";
  const changed = new Set([...state.exchanges.keys()].map((key) => Number(key.split(" ")[0])));
  byId("tokens").replaceChildren(
    ...state.answer.tokens.map((token, number) => {
      const button = element("button", { type: "button", textContent: token.text });
      button.setAttribute("aria-pressed", String(number === state.token));
      button.classList.toggle("changed", changed.has(number));
      if (first && first.on_text) {
        const share = first.on_text[number];
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
      element("img", { src: pictureAddress(picture), alt: picture.name || picture.caption, width: 160, height: 160 }),
      element("p", { textContent: picture.caption || picture.name }),
    );
    card.append(element("p", { className: "facts", textContent: picture.score === null ? "chosen by you" : `score ${picture.score.toFixed(3)}` }));
    for (const model of looking().filter((each) => each.key in picture.weights)) {
      const weight = picture.weights[model.key];
      card.append(bar(weight), element("p", { className: "facts", textContent: `attention of ${model.label}: ${percent(weight)}` }));
    }
  } else {
    card.append(element("div", { className: "empty", textContent: "no picture" }));
  }
  // Recorded are the exchanges of the last token's pictures, one at a time.
  if (recorded && state.token !== state.answer.tokens.length - 1) return card;
  const drop = element("button", { type: "button", textContent: "Drop", disabled: !picture });
  drop.setAttribute("aria-label", `Drop picture ${place + 1}`);
  drop.addEventListener("click", () => exchange(place, null));
  const replace = element("button", { type: "button", textContent: "Replace", disabled: Boolean(recorded) && state.answer.stand_ins.length === 0 });
  replace.setAttribute("aria-label", `Replace picture ${place + 1}`);
  replace.setAttribute("aria-pressed", String(state.replacing === place));
  replace.addEventListener("click", () => {
    state.replacing = place;
    showPictures();
    byId("find-status").textContent = `Find a picture and choose it: it takes place ${place + 1} of “${state.answer.tokens[state.token].text.trim()}”.`;
    if (recorded) {
      byId("found").replaceChildren(...state.answer.stand_ins.map(foundCard));
      byId("find-status").textContent = `Choose a picture: it takes place ${place + 1}.`;
    } else {
      byId("text").focus();
    }
  });
  card.append(element("div", { className: "buttons" }, drop, replace));
  return card;
}

function exchange(place, picture) {
  if (recorded) state.exchanges.clear();
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
  byId("seed").textContent = state.answer.seed;
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
    element("img", { src: pictureAddress(picture), alt: picture.name || picture.caption, loading: "lazy", width: 100, height: 100 }),
    element("p", { textContent: picture.name || picture.caption }),
    element("div", { className: "buttons" }, button),
  );
}

function start(prompt) {
  state.prompt = prompt;
  state.words = byId("words").value.split(/[\s,]+/).filter(Boolean);
  state.exchanges.clear();
  state.replacing = null;
  state.token = Number.MAX_SAFE_INTEGER;
  look();
}

byId("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  start(byId("prompt").value);
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

// Without a server there is nothing to type: the recorded prompts are chosen from, and the image base is not searched.
if (recorded) {
  const choice = element("select", { id: "prompt" }, ...Object.keys(recorded.prompts).map((prompt) => element("option", { textContent: prompt })));
  byId("prompt").replaceWith(choice);
  byId("words").value = "";
  for (const id of ["words", "find"]) byId(id).hidden = true;
  document.querySelector("label[for=words]").hidden = true;
  document.querySelector("#ask button").hidden = true;
  document.querySelector("#browse h2").textContent = "Other pictures";
  byId("find-status").textContent = "Choose the prompt's last word, and press “Replace” at one of its pictures. Any text, and the whole image base, can be asked with valm serve.";
  choice.addEventListener("change", () => {
    byId("found").replaceChildren();
    start(choice.value);
  });
  start(choice.value);
}
