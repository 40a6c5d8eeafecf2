// Page of `stvg-jax serve`. Texts of users and of the server become text nodes, never markup.

const COLOURS = ["#ff2d55", "#0a84ff", "#30b050", "#ff9f0a", "#bf5af2", "#00a7a7"];
const POLL_MS = 300;
const SVG = "http://www.w3.org/2000/svg";

const $ = (id) => document.getElementById(id);
const video = $("video");
const canvas = $("boxes");
let info = null;
let current = null; // the chosen video
let answers = []; // of the chosen video
let part = null; // {start, end} of the chosen video in seconds; null for all of it
let choice = 0; // number of the latest choice of a video
let searches = 0; // number of the latest search

async function call(method, path, body) {
  const options = { method, headers: {} };
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("The server does not answer; is it still running?");
  }
  const told = response.status === 204 ? null : await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(told.error || `The server answers with status ${response.status}.`);
  return told;
}

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function say(id, text, isError = false) {
  $(id).textContent = text;
  $(id).classList.toggle("error", isError);
}

// "1:02:03.5"
function clock(seconds) {
  const [whole, tenths] = seconds.toFixed(1).split(".");
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const two = (number) => String(number).padStart(2, "0");
  return `${hours ? `${hours}:${two(minutes)}` : minutes}:${two(whole % 60)}.${tenths}`;
}

const sized = (bytes) => (bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);

// Videos

function upload(file) {
  const mine = ++choice;
  if (file.size > info.limits.upload_bytes) {
    say("video-status", `${file.name} has ${sized(file.size)}; at most ${sized(info.limits.upload_bytes)} are taken.`, true);
    return;
  }
  const request = new XMLHttpRequest();
  request.open("POST", `api/videos?name=${encodeURIComponent(file.name)}`);
  request.setRequestHeader("Content-Type", "application/octet-stream");
  request.responseType = "json";
  request.upload.onprogress = (event) => {
    if (mine !== choice) return;
    const share = event.total ? Math.floor((100 * event.loaded) / event.total) : 0;
    say("video-status", share < 100 ? `Sending ${file.name}: ${share} %` : `Reading ${file.name} …`);
  };
  request.onload = () => {
    if (mine !== choice) return;
    if (request.status === 201) choose(request.response);
    else say("video-status", request.response?.error || `The server answers with status ${request.status}.`, true);
  };
  request.onerror = () => {
    if (mine === choice) say("video-status", `${file.name} could not be sent; is the server still running?`, true);
  };
  say("video-status", `Sending ${file.name} …`);
  request.send(file);
}

function choose(chosen, chosenPart = null) {
  choice += 1;
  // Nobody would see their answers.
  answers.filter((answer) => !answer.finished).forEach(stopQuestion);
  current = chosen;
  part = chosenPart;
  answers = [];
  for (const hit of document.querySelectorAll(".hit")) hit.setAttribute("aria-pressed", "false");
  $("answers").replaceChildren();
  $("none").hidden = false;
  $("look").hidden = false;
  $("delete").hidden = chosen.kind !== "upload";
  $("find").disabled = $("link").disabled = false;
  $("video-name").textContent =
    `${chosen.name}, ${chosen.width} × ${chosen.height}, ${chosen.duration_sec.toFixed(1)} s` +
    (part ? `, searched from ${clock(part.start)} to ${clock(part.end)}` : "");
  say("video-status", "");
  say("form-status", "");
  video.src = `api/videos/${chosen.id}`;
  if (part) seek(part.start);
  video.play().catch(() => {});
  if (chosen.sentences.length) $("sentences").value = chosen.sentences.join("\n");
}

async function removeUpload() {
  try {
    await call("DELETE", `api/videos/${current.id}`);
  } catch (error) {
    say("video-status", error.message, true);
    return;
  }
  const name = current.name;
  current = null;
  choice += 1;
  answers = [];
  $("answers").replaceChildren();
  video.removeAttribute("src");
  video.load();
  $("look").hidden = true;
  $("none").hidden = false;
  $("find").disabled = $("link").disabled = true;
  say("video-status", `${name} and the answers about it are deleted.`);
}

// Questions

const lines = () => $("sentences").value.split("\n").map((line) => line.trim()).filter(Boolean);

async function ask() {
  const sentences = lines();
  if (!current || !sentences.length) {
    say("form-status", "Write a sentence first.", true);
    $("sentences").focus();
    return;
  }
  say("form-status", "");
  const mine = choice;
  for (const sentence of sentences) {
    try {
      const question = await call("POST", "api/questions", { video: current.id, sentence, ...part });
      if (mine !== choice) return;
      const answer = addCard(question);
      follow(answer, mine);
    } catch (error) {
      if (mine === choice) say("form-status", error.message, true);
      return;
    }
  }
}

function addCard(question) {
  const colour = COLOURS[answers.length % COLOURS.length];
  const card = element("li", { class: "answer" });
  card.style.setProperty("--colour", colour);
  const status = element("p", { class: "status", role: "status" });
  const bar = element("progress", { "aria-label": "progress" });
  const stop = element("button", { type: "button", class: "plain" }, "Stop");
  card.append(element("p", { class: "sentence" }, question.sentence), status, bar, stop);
  $("answers").prepend(card);
  $("none").hidden = true;
  const answer = { id: question.id, colour, card, status, bar, stop, result: null, finished: false };
  stop.addEventListener("click", () => stopQuestion(answer));
  answers.push(answer);
  show(answer, question);
  return answer;
}

async function follow(answer, mine) {
  const wanted = () => mine === choice && !answer.finished;
  while (wanted()) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    if (!wanted()) return;
    let question;
    try {
      question = await call("GET", `api/questions/${answer.id}`);
    } catch (error) {
      if (wanted()) fail(answer, error.message);
      return;
    }
    if (!wanted()) return;
    show(answer, question);
    if (finished(question)) return;
  }
}

const finished = ({ state }) => state === "done" || state === "failed";

// A card whose question is answered, has failed or is stopped.
function finish(answer) {
  answer.finished = true;
  answer.bar.remove();
  answer.stop.remove();
}

async function stopQuestion(answer) {
  finish(answer);
  answer.status.textContent = "Stopped.";
  try {
    await call("DELETE", `api/questions/${answer.id}`);
  } catch (error) {
    fail(answer, error.message);
  }
}

function fail(answer, message) {
  finish(answer);
  answer.status.textContent = message;
  answer.status.classList.add("error");
}

function show(answer, question) {
  if (question.state === "failed") fail(answer, question.error);
  else if (question.state === "done") showResult(answer, question.answer);
  else {
    answer.status.textContent = stateText(question, "question");
    const { done, total } = question.progress;
    if (total) {
      answer.bar.max = total;
      answer.bar.value = done;
    } else answer.bar.removeAttribute("value");
  }
}

function stateText({ state, place, progress: { title, done, total } }, noun) {
  if (state === "waiting" && place) {
    return place === 1 ? `Waiting: one ${noun} before this one` : `Waiting: ${place} others before this one`;
  }
  return total ? `${title}: ${done} of ${total}` : title || "starting";
}

function showResult(answer, result) {
  answer.result = result;
  finish(answer);
  const { tube } = result;
  const jump = element("button", { type: "button" },
    `${tube.start_sec.toFixed(2)} to ${tube.end_sec.toFixed(2)} s`);
  jump.addEventListener("click", () => {
    seek(tube.start_sec);
    video.play().catch(() => {});
  });
  const downloads = element("div", { class: "row" }, element("span", { class: "soft" }, "Download:"));
  for (const name of info.files) {
    const link = element("a", { href: `api/questions/${answer.id}/${name}`, download: name }, name);
    downloads.append(link);
  }
  answer.status.replaceChildren(jump, ` (target: ${tube.subject})`);
  const worth = [sureness(tube), tube.note].filter(Boolean).map((line) => element("p", { class: "soft" }, line));
  answer.card.append(...worth, timeline(answer), downloads);
  // Later answers leave the video where the user watches it.
  if (answers.filter((other) => other.result).length === 1) seek(tube.start_sec);
  else draw(video.currentTime);
}

// The confidence in an answer, in words; the same as of the command line.
function sureness({ confidence, calibrated, found }) {
  if (confidence === undefined) return "";
  const text = `confidence ${confidence.toFixed(2)}`;
  if (!calibrated) return `${text}, not calibrated`;
  return found !== false ? text : `${text}: probably not in this video`;
}

// Search in an index

async function search() {
  const sentence = $("query").value.trim();
  const mine = ++searches;
  $("hits").replaceChildren();
  if (!sentence) {
    say("search-status", "Write a sentence first.", true);
    $("query").focus();
    return;
  }
  say("search-status", "Searching …");
  try {
    let found = await call("POST", "api/searches", { sentence });
    while (!finished(found)) {
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      if (mine !== searches) {
        await call("DELETE", `api/searches/${found.id}`);
        return;
      }
      found = await call("GET", `api/searches/${found.id}`);
      if (mine === searches && !finished(found)) say("search-status", `${stateText(found, "search")} …`);
    }
    if (mine !== searches) return;
    if (found.state === "failed") throw new Error(found.error);
    const { hits } = found.answer;
    say("search-status", hits.length ? `The best ${hits.length}. Choose one to find the moment and the place in it.` : "Nothing found.");
    $("hits").replaceChildren(...hits.map((hit, number) => hitItem(hit, number, found)));
  } catch (error) {
    if (mine === searches) say("search-status", error.message, true);
  }
}

function hitItem(hit, number, found) {
  const button = element("button", { type: "button", class: "hit", "aria-pressed": "false" });
  if (hit.error) button.disabled = true;
  else button.append(element("img", { src: `api/searches/${found.id}/pictures/${number}`, alt: "", loading: "lazy" }));
  button.append(
    element("div", {}, `${clock(hit.start_sec)} to ${clock(hit.end_sec)}`),
    element("div", { class: "soft" }, `${hit.name}, score ${hit.score.toFixed(3)}`),
  );
  if (hit.error) button.append(element("div", { class: "error" }, hit.error));
  button.addEventListener("click", () => openHit(hit, found.sentence, button));
  return element("li", {}, button);
}

async function openHit(hit, sentence, button) {
  const mine = ++choice;
  let chosen;
  try {
    chosen = await call("GET", `api/videos/${hit.video}/info`);
  } catch (error) {
    if (mine === choice) say("search-status", error.message, true);
    return;
  }
  if (mine !== choice) return;
  choose(chosen, { start: hit.start_sec, end: hit.end_sec });
  button.setAttribute("aria-pressed", "true");
  $("sentences").value = sentence;
  $("look").scrollIntoView({ block: "nearest" });
  await ask();
}

// Timeline

function seek(seconds) {
  const last = video.duration || current.duration_sec;
  video.currentTime = Math.min(Math.max(seconds, 0), Math.max(last - 1e-3, 0));
}

// The part of the video that timelines show.
function shownPart() {
  const start = part ? part.start : 0;
  return { start, length: (part ? part.end : current.duration_sec) - start };
}

function shape(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function timeline(answer) {
  const { tube, score_sec: seconds } = answer.result;
  const { start: from, length } = shownPart();
  const svg = shape("svg", { viewBox: "0 0 1000 100", preserveAspectRatio: "none", "aria-hidden": "true" });
  const x = (sec) => (1000 * (sec - from)) / length;
  const points = tube.scores.map((score, i) => `${x(seconds[i])},${96 - 92 * score.actioness}`).join(" ");
  const now = shape("line", { class: "now", y1: 0, y2: 100 });
  svg.append(
    shape("rect", { class: "track", width: 1000, height: 100 }),
    shape("rect", { class: "found", x: x(tube.start_sec), width: x(tube.end_sec) - x(tube.start_sec), height: 100 }),
    shape("polyline", { points }),
    now,
  );
  const slider = element("div", {
    class: "timeline", role: "slider", tabindex: 0, "aria-valuemin": from.toFixed(2),
    "aria-valuemax": (from + length).toFixed(2),
    "aria-label": "Time, above the score of each moment",
  });
  slider.append(svg);
  const point = (event) => {
    const place = slider.getBoundingClientRect();
    seek(from + (length * (event.clientX - place.left)) / place.width);
  };
  slider.addEventListener("pointerdown", (event) => {
    slider.setPointerCapture(event.pointerId);
    video.pause();
    point(event);
  });
  slider.addEventListener("pointermove", (event) => {
    if (slider.hasPointerCapture(event.pointerId)) point(event);
  });
  slider.addEventListener("keydown", (event) => {
    const step = event.shiftKey ? 1 : 1 / tube.fps;
    const goals = {
      ArrowLeft: video.currentTime - step, ArrowRight: video.currentTime + step, Home: tube.start_sec,
      End: tube.end_sec - 1 / tube.fps,
    };
    if (event.key in goals) {
      video.pause();
      seek(goals[event.key]);
    } else if (event.key === " " || event.key === "Enter") {
      if (video.paused) video.play().catch(() => {});
      else video.pause();
    } else return;
    event.preventDefault();
  });
  answer.now = now;
  answer.slider = slider;
  return slider;
}

// Boxes over the video

// Index of the last frame that has begun.
function frameAt(starts, seconds) {
  let low = 0;
  let high = starts.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    // Players report the start of a frame with rounding.
    if (starts[middle] <= seconds + 1e-3) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function draw(seconds) {
  const scale = window.devicePixelRatio || 1;
  const width = Math.round(canvas.clientWidth * scale);
  const height = Math.round(canvas.clientHeight * scale);
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, width, height);
  const { start: from, length } = shownPart();
  for (const { result, colour, now, slider } of answers) {
    if (!result) continue;
    const { tube, box_sec: starts } = result;
    const place = (1000 * (seconds - from)) / length;
    now.setAttribute("x1", place);
    now.setAttribute("x2", place);
    slider.setAttribute("aria-valuenow", seconds.toFixed(2));
    slider.setAttribute("aria-valuetext", `${seconds.toFixed(2)} seconds`);
    const entry = tube.boxes[frameAt(starts, seconds)];
    if (!entry || !entry.in_interval) continue;
    const [x1, y1, x2, y2] = entry.box;
    const [across, down] = [width / tube.width, height / tube.height];
    const box = [x1 * across, y1 * down, (x2 - x1) * across, (y2 - y1) * down];
    context.lineWidth = 5 * scale;
    context.strokeStyle = "rgb(0 0 0 / .55)";
    context.strokeRect(...box);
    context.lineWidth = 3 * scale;
    context.strokeStyle = colour;
    context.strokeRect(...box);
  }
}

function watch() {
  if (video.requestVideoFrameCallback) {
    const shown = (_, frame) => {
      if (current) draw(frame.mediaTime);
      video.requestVideoFrameCallback(shown);
    };
    video.requestVideoFrameCallback(shown);
  } else {
    const shown = () => {
      if (current && !video.paused) draw(video.currentTime);
      requestAnimationFrame(shown);
    };
    requestAnimationFrame(shown);
  }
  for (const name of ["seeked", "loadeddata", "pause"]) {
    video.addEventListener(name, () => current && draw(video.currentTime));
  }
  new ResizeObserver(() => current && draw(video.currentTime)).observe(canvas);
}

// Links: the question stands behind the #, which browsers do not send.

function linkTo(id, sentences) {
  const bounds = part ? [["start", part.start], ["end", part.end]] : [];
  const values = new URLSearchParams([["video", id], ...bounds, ...sentences.map((sentence) => ["sentence", sentence])]);
  return `${location.origin}${location.pathname}#${values}`;
}

async function copyLink() {
  const link = linkTo(current.id, lines());
  history.replaceState(null, "", link);
  try {
    await navigator.clipboard.writeText(link);
    say("form-status", "Copied.");
  } catch {
    say("form-status", "The link is in the address bar.");
  }
}

async function openLink() {
  const values = new URLSearchParams(location.hash.slice(1));
  const id = values.get("video");
  if (!id) return;
  const [start, end] = ["start", "end"].map((name) => Number.parseFloat(values.get(name)));
  try {
    choose(await call("GET", `api/videos/${encodeURIComponent(id)}/info`), start < end ? { start, end } : null);
  } catch (error) {
    say("video-status", error.message, true);
    return;
  }
  $("sentences").value = values.getAll("sentence").join("\n");
  if (lines().length) await ask();
}

async function start() {
  try {
    info = await call("GET", "api/info");
  } catch (error) {
    say("video-status", error.message, true);
    return;
  }
  const { limits } = info;
  $("about").textContent =
    `${info.note ? `${info.note} ` : `Model: ${info.model}. `}Videos of up to ${sized(limits.upload_bytes)} and ` +
    `${limits.video_sec} s; uploads are deleted ${Math.round(limits.kept_sec / 60)} minutes after their last use.`;
  if (info.index) {
    const { videos } = info.index;
    $("search").hidden = false;
    $("search-title").textContent = `Search ${videos === 1 ? "the indexed video" : `${videos.toLocaleString("en")} videos`}`;
    $("choose").textContent = "1. Choose a hit, or another video";
    $("search-form").addEventListener("submit", (event) => {
      event.preventDefault();
      search();
    });
  }
  $("examples").hidden = !info.examples.length;
  for (const example of info.examples) {
    const button = element("button", { type: "button" }, example.name);
    button.addEventListener("click", () => choose(example));
    $("examples").append(button);
  }
  $("file").addEventListener("change", () => {
    if ($("file").files.length) upload($("file").files[0]);
    $("file").value = "";
  });
  const drop = $("drop");
  for (const name of ["dragover", "dragleave", "drop"]) {
    drop.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", name === "dragover");
      if (name === "drop" && event.dataTransfer.files.length) upload(event.dataTransfer.files[0]);
    });
  }
  video.addEventListener("error", () => {
    if (current) say("video-status", "This browser cannot play the video; it can be searched all the same.", true);
  });
  $("form").addEventListener("submit", (event) => {
    event.preventDefault();
    ask();
  });
  $("sentences").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $("form").requestSubmit();
  });
  $("link").addEventListener("click", copyLink);
  $("delete").addEventListener("click", removeUpload);
  window.addEventListener("hashchange", openLink);
  watch();
  await openLink();
}

start();
