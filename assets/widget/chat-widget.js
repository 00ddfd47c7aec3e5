// The chat of a Carrel workspace for any page:
//   <script src="…/static/chat-widget.js" data-key="sk_live_…" defer></script>
// docs/widget.md has the attributes and the calls. No dependency and no build step. Nothing is asked of the server
// before somebody opens the chat, and of nobody else ever. What the server says becomes text nodes and nothing else.
(() => {
  'use strict';

  const script = document.currentScript;
  if (!script || window.CarrelChat) return;

  // ---------------------------------------------------------------------------------------------------- texts

  const TEXTS = {
    en: {
      title: 'Chat',
      open: 'Open the chat',
      close: 'Close the chat',
      fresh: 'New conversation',
      log: 'Conversation',
      greeting: 'Ask a question. The answers come from the documents and name their sources.',
      field: 'Your question',
      hint: 'Enter sends, Shift and Enter begins a new line',
      send: 'Send',
      stop: 'Stop the answer',
      you: 'You',
      searching: 'Searching the documents …',
      looking: 'Looking something up …',
      thinking: 'Writing the answer …',
      places: { page: ['page', 'pages'], slide: ['slide', 'slides'], line: ['line', 'lines'], row: ['row', 'rows'] },
      found: (n) => (n === 1 ? '1 passage found' : `${n} passages found`),
      notFound: 'I found nothing in the documents that answers this question.',
      unfounded: 'Not found in the documents',
      stopped: 'Stopped',
      source: (n, name) => `Source ${n}: ${name}`,
      closeSource: 'Close the source',
      retry: 'Try again',
      helpful: 'Helpful',
      unhelpful: 'Not helpful',
      thanks: 'Thank you for telling.',
      untold: 'That could not be sent.',
      reference: (id) => `Reference: ${id}`,
      errors: {
        unreachable: 'The chat cannot be reached. Check the connection and try again.',
        refused: 'This chat is not set up for this page. Whoever runs the page can mend that.',
        unknown_key: 'This chat is not set up: its key is not valid (any more).',
        more_than_chat: 'This chat is not set up: its key may do more than chat and must not stand in a page.',
        no_origins: 'This chat is not set up: its key names no pages that it may be used on.',
        other_origin: 'This chat is not set up for this page: its key is for other pages.',
        no_agent: 'Nobody answers here at the moment.',
        too_long: 'This question is too long or cannot be read.',
        too_many: 'Too many questions at once. Wait a moment and try again.',
        unavailable: 'The chat is busy or being looked after. Try again shortly.',
        broken: 'The answer broke off.',
        internal: 'Something went wrong on the server.',
      },
    },
    de: {
      title: 'Chat',
      open: 'Chat öffnen',
      close: 'Chat schließen',
      fresh: 'Neues Gespräch',
      log: 'Gesprächsverlauf',
      greeting: 'Stellen Sie eine Frage. Die Antworten kommen aus den Dokumenten und nennen ihre Quellen.',
      field: 'Ihre Frage',
      hint: 'Eingabe sendet, Umschalt und Eingabe beginnt eine neue Zeile',
      send: 'Senden',
      stop: 'Antwort anhalten',
      you: 'Sie',
      searching: 'Durchsucht die Dokumente …',
      looking: 'Schlägt etwas nach …',
      thinking: 'Schreibt die Antwort …',
      places: { page: ['Seite', 'Seiten'], slide: ['Folie', 'Folien'], line: ['Zeile', 'Zeilen'], row: ['Zeile', 'Zeilen'] },
      found: (n) => (n === 1 ? '1 Stelle gefunden' : `${n} Stellen gefunden`),
      notFound: 'Dazu habe ich in den Dokumenten nichts gefunden.',
      unfounded: 'Nicht in den Dokumenten gefunden',
      stopped: 'Angehalten',
      source: (n, name) => `Quelle ${n}: ${name}`,
      closeSource: 'Quelle schließen',
      retry: 'Noch einmal versuchen',
      helpful: 'Hilfreich',
      unhelpful: 'Nicht hilfreich',
      thanks: 'Danke für die Rückmeldung.',
      untold: 'Das konnte nicht gesendet werden.',
      reference: (id) => `Kennung: ${id}`,
      errors: {
        unreachable: 'Der Chat ist nicht erreichbar. Prüfen Sie die Verbindung und versuchen Sie es noch einmal.',
        refused: 'Dieser Chat ist für diese Seite nicht eingerichtet. Wer die Seite betreibt, kann das beheben.',
        unknown_key: 'Dieser Chat ist nicht eingerichtet: Sein Schlüssel gilt nicht (mehr).',
        more_than_chat: 'Dieser Chat ist nicht eingerichtet: Sein Schlüssel darf mehr als chatten und gehört in keine Seite.',
        no_origins: 'Dieser Chat ist nicht eingerichtet: Sein Schlüssel nennt keine Seiten, auf denen er gilt.',
        other_origin: 'Dieser Chat ist für diese Seite nicht eingerichtet: Sein Schlüssel gilt für andere Seiten.',
        no_agent: 'Hier antwortet zurzeit niemand.',
        too_long: 'Diese Frage ist zu lang oder nicht lesbar.',
        too_many: 'Zu viele Fragen auf einmal. Warten Sie einen Augenblick und versuchen Sie es noch einmal.',
        unavailable: 'Der Chat ist überlastet oder wird gerade gewartet. Versuchen Sie es gleich noch einmal.',
        broken: 'Die Antwort ist abgebrochen.',
        internal: 'Auf dem Server ist etwas schiefgegangen.',
      },
    },
  };

  // ---------------------------------------------------------------------------------------------------- settings

  const isPage = 'page' in script.dataset;
  const settings = readSettings();
  const base = new URL('..', script.src);
  const lang = pickLanguage();
  const t = TEXTS[lang];

  function readSettings() {
    const { key, agent, title, position, greeting, color } = script.dataset;
    const given = { key, agent, title, position, greeting, color, lang: script.dataset.lang };
    if (!isPage) return given;
    // A page of its own is told by its address; texts are not, or a link could put words into this site's mouth.
    const fragment = location.hash.slice(1);
    const named = new URLSearchParams(fragment.includes('=') ? fragment : { key: fragment });
    const query = new URLSearchParams(location.search);
    for (const name of ['key', 'agent', 'lang', 'color']) given[name] = named.get(name) || query.get(name) || undefined;
    return given;
  }

  function pickLanguage() {
    const wishes = [settings.lang, isPage ? '' : document.documentElement.lang, ...(navigator.languages || [])];
    const known = wishes.map((wish) => (wish || '').slice(0, 2).toLowerCase()).find((wish) => wish in TEXTS);
    return known || 'en';
  }

  /** The colour to use and the one that can be read on it. */
  function colours() {
    const short = /^#([0-9a-f])([0-9a-f])([0-9a-f])$/i.exec(settings.color || '');
    const hex = short ? `#${short.slice(1).map((digit) => digit + digit).join('')}` : settings.color;
    const parts = /^#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})$/i.exec(hex || '');
    if (!parts) return { accent: '#1d4f91', on: '#ffffff' };
    const light = parts.slice(1).map((part) => {
      const value = parseInt(part, 16) / 255;
      return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    });
    const luminance = 0.2126 * light[0] + 0.7152 * light[1] + 0.0722 * light[2];
    // One of the two always has a contrast of 4.5 and more.
    return { accent: parts[0], on: 1.05 / (luminance + 0.05) >= (luminance + 0.05) / 0.05 ? '#ffffff' : '#000000' };
  }

  // ---------------------------------------------------------------------------------------------------- looks

  const CSS = `
    :host { all: initial !important; position: fixed !important; inset: auto !important; z-index: 2147483000 !important;
      display: block !important; }
    *, *::before { box-sizing: border-box; }
    [hidden] { display: none !important; }
    .root { font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; color: #1b1f24;
      text-align: start; }
    button, textarea { font: inherit; color: inherit; margin: 0; }
    button { cursor: pointer; border: 0; background: none; padding: 0; border-radius: 8px; }
    :focus-visible { outline: 3px solid #0b57d0; outline-offset: 2px; box-shadow: 0 0 0 2px #fff; }
    .icon { display: block; width: 24px; height: 24px; background: currentColor; }
    .chat { clip-path: path("M4 3h16a2 2 0 0 1 2 2v11a2 2 0 0 1-2 2h-8l-6 4v-4h-2a2 2 0 0 1-2-2v-11a2 2 0 0 1 2-2z"); }
    .cross { clip-path: path("M6.4 5L12 10.6L17.6 5L19 6.4L13.4 12L19 17.6L17.6 19L12 13.4L6.4 19L5 17.6L10.6 12L5 6.4z"); }
    .arrow { clip-path: path("M12 3L20 11L18.6 12.4L13 6.8V21H11V6.8L5.4 12.4L4 11z"); }
    .square { clip-path: path("M6 6h12v12h-12z"); }
    .plus { clip-path: path("M11 4h2v7h7v2h-7v7h-2v-7h-7v-2h7z"); }
    .thumb { clip-path: path("M2 10h4v11h-4zM8 21v-11l5-8c1.5 0 2.5 1.2 2.2 2.7l-.9 4.3h5.7c1.3 0 2.2 1.2 1.9 2.4l-1.8 7.5c-.3 1.2-1.3 2.1-2.5 2.1z");
      transform: scale(.75); }
    .down { transform: scale(.75) rotate(180deg); }
    .unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }

    .launcher { position: fixed; bottom: 20px; inset-inline-end: 20px; width: 58px; height: 58px; border-radius: 50%;
      display: grid; place-items: center; background: var(--accent); color: var(--on-accent);
      border: 2px solid #fff; box-shadow: 0 2px 12px rgba(0, 0, 0, .3); }
    .left .launcher { inset-inline: 20px auto; }
    .panel { position: fixed; bottom: 92px; inset-inline-end: 20px; width: 400px; max-width: calc(100vw - 40px);
      height: 640px; max-height: calc(100vh - 112px); display: flex; flex-direction: column; overflow: hidden;
      background: #fff; border: 1px solid #8c959f; border-radius: 14px; box-shadow: 0 10px 36px rgba(0, 0, 0, .28); }
    .left .panel { inset-inline: 20px auto; }
    .page .panel { inset: 0; width: auto; max-width: none; height: auto; max-height: none; border: 0; border-radius: 0;
      box-shadow: none; }
    header { display: flex; align-items: center; gap: 4px; padding: 10px 10px 10px 18px; background: var(--accent);
      color: var(--on-accent); }
    h2 { flex: 1; min-width: 0; margin: 0; font-size: 17px; font-weight: 600; line-height: 1.3; overflow-wrap: anywhere; }
    header button { width: 40px; height: 40px; display: grid; place-items: center; flex: none; }
    .talk { flex: 1; min-height: 0; overflow-y: auto; overscroll-behavior: contain; padding: 16px; scrollbar-width: thin; }
    .talk:focus-visible { outline-offset: -3px; }
    .page .talk, .page form, .page .status { width: 100%; max-width: 800px; margin-inline: auto; }
    .log, .pending { display: flex; flex-direction: column; gap: 14px; }
    .pending:not(:empty) { margin-top: 14px; }
    .message { max-width: 100%; overflow-wrap: anywhere; }
    .question { align-self: flex-end; max-width: 85%; padding: 8px 14px; border-radius: 14px 14px 4px 14px;
      background: var(--accent); color: var(--on-accent); white-space: pre-wrap; }
    .answer, .greeting { align-self: stretch; }
    .greeting { margin: 0; color: #4a525b; }
    .answer p, .answer ul, .answer ol, .answer pre { margin: 0 0 8px; }
    .answer ul, .answer ol { padding-inline-start: 24px; }
    .answer code { font: .9em/1.45 ui-monospace, Menlo, Consolas, monospace; background: #eef1f4; border-radius: 4px;
      padding: 1px 4px; }
    .answer pre { background: #eef1f4; border-radius: 8px; padding: 10px 12px; overflow-x: auto; }
    .answer pre code { padding: 0; background: none; white-space: pre-wrap; }
    .cite { display: inline-block; min-width: 24px; min-height: 24px; padding: 0 6px; margin: 0 1px; border-radius: 12px;
      border: 1px solid #57606a; background: #f3f5f7; font-size: 13px; font-weight: 600; line-height: 22px;
      text-align: center; vertical-align: baseline; }
    .cite[aria-expanded="true"] { background: #1b1f24; color: #fff; border-color: #1b1f24; }
    .card { margin: 4px 0 8px; padding: 10px 12px; border: 1px solid #8c959f; border-inline-start: 4px solid var(--accent);
      border-radius: 8px; background: #f8f9fb; font-size: 14px; }
    .card .head { display: flex; gap: 8px; align-items: flex-start; }
    .card .name { flex: 1; margin: 0; font-weight: 600; }
    .card .place { margin: 0; color: #4a525b; }
    .card blockquote { margin: 8px 0 0; max-height: 12em; overflow-y: auto; white-space: pre-wrap; }
    .card .shut { width: 28px; height: 28px; display: grid; place-items: center; flex: none; }
    .card .shut .icon { transform: scale(.75); }
    .flag { display: inline-block; margin: 0 0 6px; padding: 2px 10px; border-radius: 12px; font-size: 13px;
      border: 1px solid #7a5b00; background: #fff8e0; color: #5c4400; }
    .tools { display: flex; align-items: center; gap: 4px; color: #4a525b; font-size: 13px; }
    .tools button { width: 32px; height: 32px; display: grid; place-items: center; }
    .tools button:hover { background: #eef1f4; }
    .tools button[aria-pressed="true"] { color: #fff; background: #1b1f24; }
    .failure { padding: 10px 12px; border: 1px solid #a1260d; border-inline-start-width: 4px; border-radius: 8px;
      background: #fff5f3; color: #7d1d0a; }
    .failure p { margin: 0; }
    .failure .small { font-size: 13px; margin-top: 4px; }
    .failure button { margin-top: 8px; padding: 4px 14px; border: 1px solid #7d1d0a; background: #fff; font-weight: 600; }
    .status { min-height: 24px; margin: 0; padding: 0 18px 4px; font-size: 14px; color: #4a525b; }
    .busy .status::before { content: ""; display: inline-block; width: 8px; height: 8px; margin-inline-end: 8px;
      border-radius: 50%; background: var(--accent); border: 1px solid #57606a; }
    form { display: flex; align-items: flex-end; gap: 8px; margin: 0; padding: 10px 14px 14px; border-top: 1px solid #d0d7de; }
    textarea { flex: 1; min-width: 0; resize: none; height: 44px; max-height: 140px; padding: 9px 12px; line-height: 24px;
      background: #fff; border: 1px solid #6e7781; border-radius: 10px; }
    textarea::placeholder { color: #57606a; opacity: 1; }
    textarea:disabled { background: #f3f5f7; }
    form button { flex: none; width: 44px; height: 44px; display: grid; place-items: center; border-radius: 10px;
      background: var(--accent); color: var(--on-accent); border: 1px solid #57606a; }
    form button:disabled { background: #eef1f4; color: #57606a; cursor: default; }
    @media (max-width: 520px), (max-height: 420px) {
      .open .launcher { display: none; }
      .panel, .left .panel { inset: 0; width: auto; max-width: none; height: auto; max-height: none; border: 0; border-radius: 0; }
    }
    @media (prefers-reduced-motion: no-preference) {
      .busy .status::before { animation: pulse 1.2s ease-in-out infinite; }
      .launcher { transition: transform .15s; }
      .launcher:hover { transform: scale(1.05); }
      @keyframes pulse { 50% { opacity: .25; } }
    }
    @media (forced-colors: active) {
      .icon { background: ButtonText; forced-color-adjust: none; }
      .question { border: 1px solid CanvasText; }
    }
    @media print { :host { display: none !important; } }
  `;

  // ---------------------------------------------------------------------------------------------------- elements

  /** An element with properties, attributes (those with a hyphen, and `role`) and children. */
  function make(tag, properties = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (name.includes('-') || name === 'role') element.setAttribute(name, value);
      else element[name] = value;
    }
    element.append(...children);
    return element;
  }

  const icon = (name) => make('span', { className: `icon ${name}`, 'aria-hidden': 'true' });
  const iconButton = (name, label, onclick) =>
    make('button', { type: 'button', 'aria-label': label, title: label, onclick }, icon(name));

  const host = make('carrel-chat', { lang });
  const shadow = host.attachShadow({ mode: 'open' });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(CSS);
  shadow.adoptedStyleSheets = [sheet];

  const launcher = make(
    'button',
    {
      type: 'button',
      className: 'launcher',
      'aria-label': t.open,
      'aria-haspopup': 'dialog',
      'aria-expanded': 'false',
      'aria-controls': 'panel',
      onclick: () => toggle(),
    },
    icon('chat'),
  );
  const heading = make('h2', { id: 'title' }, settings.title || t.title);
  const freshButton = iconButton('plus', t.fresh, () => reset());
  const closeButton = iconButton('cross', t.close, () => close());
  // Finished messages go into the log and are read out; what is being written stands below it and is not.
  const log = make('div', { className: 'log', role: 'log', 'aria-live': 'polite' });
  const pending = make('div', { className: 'pending', 'aria-hidden': 'true' });
  const talk = make('div', { className: 'talk', tabIndex: 0, role: 'group', 'aria-label': t.log }, log, pending);
  const status = make('p', { className: 'status', role: 'status' });
  const field = make('textarea', {
    id: 'field',
    rows: 1,
    maxLength: 4000,
    placeholder: t.field,
    autocomplete: 'off',
    enterKeyHint: 'send',
    'aria-describedby': 'hint',
    oninput: () => fit(),
    onkeydown: (event) => {
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      submit();
    },
  });
  const sendButton = make('button', { type: 'submit', 'aria-label': t.send, title: t.send }, icon('arrow'));
  const stopButton = make('button', { type: 'button', hidden: true, 'aria-label': t.stop, title: t.stop, onclick: () => stop() }, icon('square'));
  const form = make(
    'form',
    {
      noValidate: true,
      onsubmit: (event) => {
        event.preventDefault();
        submit();
      },
    },
    make('label', { className: 'unseen', htmlFor: 'field' }, t.field),
    make('span', { className: 'unseen', id: 'hint' }, t.hint),
    field,
    sendButton,
    stopButton,
  );
  const panel = make(
    'section',
    { className: 'panel', id: 'panel', 'aria-labelledby': 'title', hidden: !isPage },
    make('header', {}, heading, freshButton),
    talk,
    status,
    form,
  );
  const root = make('div', { className: `root ${settings.position === 'left' ? 'left' : ''}` }, panel);
  if (isPage) {
    root.classList.add('page');
    panel.setAttribute('role', 'main');
  } else {
    panel.setAttribute('role', 'dialog');
    panel.setAttribute('aria-modal', 'true');
    panel.querySelector('header').append(closeButton);
    root.append(launcher);
  }
  const { accent, on } = colours();
  root.style.setProperty('--accent', accent);
  root.style.setProperty('--on-accent', on);
  shadow.append(root);

  // Keys that are typed here are not for the page around.
  for (const kind of ['keydown', 'keypress', 'keyup']) shadow.addEventListener(kind, (event) => event.stopPropagation());
  panel.addEventListener('keydown', (event) => {
    if (isPage || event.isComposing) return;
    if (event.key === 'Escape') {
      event.preventDefault();
      close();
    } else if (event.key === 'Tab') {
      keepFocus(event);
    }
  });

  function keepFocus(event) {
    const all = [...panel.querySelectorAll('button, textarea, [tabindex="0"]')];
    const reachable = all.filter((element) => !element.disabled && element.offsetParent !== null);
    const [first, last] = [reachable[0], reachable[reachable.length - 1]];
    const at = shadow.activeElement;
    if (event.shiftKey ? at === first : at === last) {
      event.preventDefault();
      (event.shiftKey ? last : first).focus();
    }
  }

  function fit() {
    field.style.height = '';
    // What is not shown has no height.
    if (field.value && field.scrollHeight) field.style.height = `${Math.min(field.scrollHeight + 2, 140)}px`;
    sendButton.disabled = !field.value.trim() || field.disabled;
  }

  /** Shows the newest question and as much of its answer as there is room for; answers are read from their beginning. */
  const toNewest = () => {
    const newest = [...log.querySelectorAll('.question')].pop();
    talk.scrollTop = newest ? newest.offsetTop - talk.offsetTop - 12 : 0;
  };
  const isAtEnd = () => talk.scrollHeight - talk.scrollTop - talk.clientHeight < 60;

  // ---------------------------------------------------------------------------------------------------- answers as text

  /** Paragraphs, lists, bold and code become elements; links, images and markup stay the characters that they are. */
  function rendered(text, citations, cite) {
    const out = document.createDocumentFragment();
    const lines = text.split(/\r?\n/);
    let paragraph = null;
    let list = null;
    for (let at = 0; at < lines.length; at += 1) {
      const line = lines[at];
      const item = /^\s*(?:[-*+•]|(\d{1,3})[.)])\s+(.*)$/.exec(line);
      if (/^\s*```/.test(line)) {
        const code = [];
        for (at += 1; at < lines.length && !/^\s*```/.test(lines[at]); at += 1) code.push(lines[at]);
        out.append(make('pre', {}, make('code', {}, code.join('\n'))));
        [paragraph, list] = [null, null];
      } else if (item) {
        const kind = item[1] ? 'ol' : 'ul';
        if (!list || list.localName !== kind) {
          list = make(kind);
          if (item[1]) list.start = Number(item[1]);
          out.append(list);
        }
        list.append(make('li', {}, inline(item[2], citations, cite)));
        paragraph = null;
      } else if (!line.trim()) {
        // A list may have empty lines between its items.
        paragraph = null;
      } else {
        const head = /^#{1,6}\s+(.*)$/.exec(line);
        list = null;
        if (!paragraph || head) {
          paragraph = make('p');
          out.append(paragraph);
        } else {
          paragraph.append(make('br'));
        }
        paragraph.append(head ? make('strong', {}, head[1]) : inline(line, citations, cite));
        if (head) paragraph = null;
      }
    }
    return out;
  }

  function inline(text, citations, cite) {
    const out = document.createDocumentFragment();
    let from = 0;
    for (const found of text.matchAll(/`([^`]+)`|\*\*([^*]+)\*\*|\[(\d{1,3})\]/g)) {
      const [whole, code, bold, marker] = found;
      const citation = marker && citations.find((one) => one.marker === Number(marker));
      if (marker && !citation) continue;
      out.append(text.slice(from, found.index));
      if (code) out.append(make('code', {}, code));
      else if (bold) out.append(make('strong', {}, inline(bold, citations, cite)));
      else out.append(cite(citation));
      from = found.index + whole.length;
    }
    out.append(text.slice(from));
    return out;
  }

  let cards = 0;

  function answerElement(entry) {
    const element = make('div', { className: 'message answer' });
    if (entry.grounded === false && shownText(entry) !== t.notFound) element.append(make('p', { className: 'flag' }, t.unfounded));
    const card = make('div', { className: 'card', id: `card-${(cards += 1)}`, hidden: true, role: 'group' });
    let opener = null;
    const shut = () => {
      card.hidden = true;
      opener?.setAttribute('aria-expanded', 'false');
      const before = opener;
      opener = null;
      return before;
    };
    const cite = (citation) => {
      const name = citation.title || citation.source || '';
      const button = make(
        'button',
        { type: 'button', className: 'cite', 'aria-expanded': 'false', 'aria-controls': card.id, 'aria-label': t.source(citation.marker, name) },
        String(citation.marker),
      );
      button.onclick = () => {
        if (shut() === button) return;
        opener = button;
        button.setAttribute('aria-expanded', 'true');
        card.setAttribute('aria-label', t.source(citation.marker, name));
        const away = iconButton('cross', t.closeSource, () => shut()?.focus());
        away.className = 'shut';
        card.replaceChildren(
          make('div', { className: 'head' }, make('p', { className: 'name' }, name), away),
          make('p', { className: 'place' }, placeOf(citation)),
          make('blockquote', {}, unwrapped(citation.quote || '')),
        );
        card.hidden = false;
        card.scrollIntoView({ block: 'nearest' });
      };
      return button;
    };
    const body = make('div', {}, rendered(shownText(entry), entry.citations, cite));
    element.append(body, card);
    if (entry.stopped) element.append(make('p', { className: 'flag' }, t.stopped));
    if (entry.id && workspace) element.append(ratingElement(entry));
    return element;
  }

  /** What the server says where it found nothing is said in the language of the page. */
  function shownText(entry) {
    const bare = 'I found nothing in this workspace that answers this question.';
    return entry.grounded === false && entry.text.trim() === bare ? t.notFound : entry.text;
  }

  function placeOf(citation) {
    const heads = Array.isArray(citation.heading_path) ? citation.heading_path : [];
    const below = heads.filter((head, at) => at > 0 || head !== citation.title).join(' › ');
    const label = (citation.label || citation.source || '').replace(
      /\b(page|slide|line|row)(s?) (\d+(?:–\d+)?)$/,
      (_, kind, many, numbers) => `${t.places[kind][many ? 1 : 0]} ${numbers}`,
    );
    return [label, below].filter(Boolean).join(' · ');
  }

  /** A quote without the line breaks that its file was wrapped with; those of lists and tables stay. */
  function unwrapped(quote) {
    return quote.replace(/([^\n])\n(?=[^\n\s|>#*+\d-])/g, '$1 ');
  }

  function ratingElement(entry) {
    const said = make('span', { role: 'status' });
    const choices = [
      [1, 'thumb', t.helpful],
      [-1, 'thumb down', t.unhelpful],
    ];
    const buttons = choices.map(([rating, look, label]) => {
      const button = iconButton(look, label, async () => {
        try {
          const answer = await send(`workspaces/${workspace}/messages/${entry.id}/feedback`, { rating });
          if (!answer.ok) throw new Error(String(answer.status));
          entry.rating = rating;
          for (const [at, other] of buttons.entries()) other.setAttribute('aria-pressed', String(choices[at][0] === rating));
          said.textContent = t.thanks;
          save();
        } catch {
          said.textContent = t.untold;
        }
      });
      button.setAttribute('aria-pressed', String(entry.rating === rating));
      return button;
    });
    return make('div', { className: 'tools' }, ...buttons, said);
  }

  function show(element) {
    const follow = isAtEnd();
    log.append(element);
    if (follow) toNewest();
  }

  function failureElement(failure, again) {
    const element = make('div', { className: 'message failure' }, make('p', {}, t.errors[failure.kind] || t.errors.internal));
    if (failure.reference) element.append(make('p', { className: 'small' }, t.reference(failure.reference)));
    if (again) element.append(make('button', { type: 'button', onclick: again }, t.retry));
    return element;
  }

  // ---------------------------------------------------------------------------------------------------- memory

  const MOST_ENTRIES = 40;
  const place = `carrel-chat ${base.href} ${(settings.key || '').slice(0, 16)} ${settings.agent || ''}`;
  let session = null;
  let workspace = null;
  let entries = [];

  function save() {
    try {
      sessionStorage.setItem(place, JSON.stringify({ session, workspace, entries: entries.slice(-MOST_ENTRIES) }));
    } catch {
      // Without storage the conversation lasts as long as the page.
    }
  }

  function restore() {
    try {
      const kept = JSON.parse(sessionStorage.getItem(place) || 'null');
      if (!kept || !Array.isArray(kept.entries)) return;
      ({ session = null, workspace = null } = kept);
      entries = kept.entries.filter((entry) => typeof entry?.text === 'string');
      for (const entry of entries) if (!Array.isArray(entry.citations)) entry.citations = [];
    } catch {
      // What cannot be read is forgotten.
    }
  }

  function showAll() {
    log.replaceChildren();
    if (settings.greeting !== '') log.append(make('p', { className: 'message greeting' }, settings.greeting || t.greeting));
    for (const entry of entries) log.append(entryElement(entry));
  }

  function entryElement(entry) {
    if (entry.role === 'answer') return answerElement(entry);
    return make('div', { className: 'message question' }, make('span', { className: 'unseen' }, `${t.you}: `), entry.text);
  }

  // ---------------------------------------------------------------------------------------------------- asking

  const SILENCE = 60000;

  /** Why there is no answer: `kind` is a key of the texts. */
  class Failure extends Error {
    constructor(kind, reference) {
      super(kind);
      this.kind = kind;
      this.reference = reference;
    }
  }

  function send(path, body, signal) {
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${settings.key || ''}` };
    const request = { method: 'POST', mode: 'cors', credentials: 'omit', headers, body: JSON.stringify(body), signal };
    return fetch(new URL(path, base), request);
  }

  async function failureOf(answer) {
    let code = '';
    try {
      ({ code } = await answer.json());
    } catch {
      // A proxy in between has no codes.
    }
    const reference = answer.headers.get('x-request-id') || '';
    const kinds = { 401: 'refused', 403: 'refused', 404: 'no_agent', 409: 'no_agent', 413: 'too_long', 422: 'too_long', 429: 'too_many', 503: 'unavailable' };
    const failure = new Failure(kinds[answer.status] || 'internal', reference);
    failure.isForgotten = answer.status === 404 && code === 'not_found';
    return failure;
  }

  let fitness = null;

  /** Asks once whether the key is fit for this page, and who answers. */
  function checkKey() {
    fitness ??= (async () => {
      const answer = await send('widget/validate', settings.agent ? { agent_id: settings.agent } : {}).catch(() => null);
      if (!answer) throw new Failure('unreachable');
      if (!answer.ok) throw await failureOf(answer);
      const told = await answer.json();
      if (!told.valid) throw new Failure(told.reason in t.errors ? told.reason : 'refused');
      workspace = told.workspace_id;
      if (!settings.title && told.agent.name) {
        heading.textContent = told.agent.name;
        if (isPage) document.title = told.agent.name;
      }
    })().catch((failure) => {
      fitness = null;
      throw failure;
    });
    return fitness;
  }

  async function begin() {
    try {
      await checkKey();
    } catch (failure) {
      // A question that waits for the same answer tells of it.
      if (current) return;
      const known = failure instanceof Failure ? failure : new Failure('internal');
      const element = failureElement(known, () => {
        element.remove();
        begin();
        field.focus();
      });
      for (const old of log.querySelectorAll('.setup')) old.remove();
      element.classList.add('setup');
      show(element);
    }
  }

  let current = null;

  function setBusy(is) {
    root.classList.toggle('busy', is);
    // What had the focus must not vanish under it.
    const had = shadow.activeElement;
    stopButton.hidden = !is;
    sendButton.hidden = is;
    if (is && had === sendButton) stopButton.focus();
    if (!is && had === stopButton) field.focus();
    if (!is) status.textContent = '';
    fit();
  }

  function submit() {
    const text = field.value.trim();
    if (!text || current) return;
    field.value = '';
    fit();
    ask(text);
  }

  /** Asks `text` and resolves with what came of it. */
  function ask(text) {
    const question = String(text).trim();
    if (!question || current) return Promise.resolve(null);
    entries.push({ role: 'question', text: question });
    show(entryElement(entries[entries.length - 1]));
    toNewest();
    save();
    return take(question);
  }

  async function take(question) {
    const entry = { role: 'answer', text: '', citations: [], grounded: undefined, id: '' };
    const turn = { control: new AbortController(), entry };
    current = turn;
    setBusy(true);
    let failure = null;
    try {
      await checkKey();
      await stream(question, turn);
    } catch (error) {
      if (turn.isStopped) entry.stopped = true;
      else failure = error instanceof Failure ? error : new Failure('unreachable');
      // The key was good once: what is wrong with it now is asked again.
      if (failure?.kind === 'refused') fitness = null;
    }
    // A conversation that was begun anew meanwhile has no place for this.
    if (current !== turn) return null;
    current = null;
    pending.replaceChildren();
    setBusy(false);
    if (failure) {
      const element = failureElement(failure, () => {
        if (current) return;
        element.remove();
        field.focus();
        take(question);
      });
      show(element);
      return { error: failure.kind };
    }
    entries.push(entry);
    save();
    show(answerElement(entry));
    return { text: entry.text, citations: entry.citations, grounded: entry.grounded, stopped: Boolean(entry.stopped) };
  }

  async function stream(question, turn) {
    const { signal } = turn.control;
    const body = { message: question };
    if (settings.agent) body.agent_id = settings.agent;
    if (session) body.session_id = session;
    let answer = await send('chat/stream', body, signal);
    if (!answer.ok) {
      const failure = await failureOf(answer);
      if (!failure.isForgotten || !session) throw failure;
      // The conversation was deleted on the server: this question begins another.
      session = null;
      delete body.session_id;
      answer = await send('chat/stream', body, signal);
      if (!answer.ok) throw await failureOf(answer);
    }
    const reference = answer.headers.get('x-request-id') || '';
    status.textContent = t.thinking;
    let isWhole = false;
    for await (const event of eventsOf(answer.body, turn)) {
      if (event.type === 'error') {
        const kinds = { unavailable: 'unavailable', rate_limited: 'too_many', quota_exceeded: 'too_many' };
        throw new Failure(kinds[event.code] || 'internal', reference);
      }
      if (current !== turn) return;
      if (event.type === 'end') isWhole = true;
      told(event, turn.entry);
    }
    if (!isWhole) throw new Failure('broken', reference);
  }

  function told(event, entry) {
    switch (event.type) {
      case 'session':
        session = event.session_id;
        break;
      case 'tool_call':
        status.textContent = /search/.test(event.tool_name) ? t.searching : t.looking;
        break;
      case 'tool_result': {
        const count = /^(\d+) /.exec(event.summary || '');
        if (count) status.textContent = t.found(Number(count[1]));
        break;
      }
      case 'text':
        entry.text += event.content;
        status.textContent = t.thinking;
        paint(entry);
        break;
      case 'citations':
        entry.citations = event.citations || [];
        entry.grounded = entry.citations.length > 0;
        break;
      case 'end':
        entry.id = event.message_id;
        if (event.metadata && typeof event.metadata.grounded === 'boolean') entry.grounded = event.metadata.grounded;
        break;
      default:
        break;
    }
  }

  let isPainting = false;

  function paint(entry) {
    if (isPainting) return;
    isPainting = true;
    requestAnimationFrame(() => {
      isPainting = false;
      if (current?.entry !== entry) return;
      const follow = isAtEnd();
      const plain = (citation) => `[${citation.marker}]`;
      pending.replaceChildren(make('div', { className: 'message answer' }, rendered(entry.text, [], plain)));
      if (follow) toNewest();
    });
  }

  /** The events of a stream as the server sends them: `data:` lines, an empty line after each event. */
  async function* eventsOf(body, turn) {
    const reader = body.getReader();
    const decoder = new TextDecoder();
    let rest = '';
    let data = [];
    for (;;) {
      let timer;
      const silence = new Promise((_, reject) => {
        timer = setTimeout(() => {
          turn.control.abort();
          reject(new Failure('broken'));
        }, SILENCE);
      });
      let chunk;
      try {
        chunk = await Promise.race([reader.read(), silence]);
      } catch (error) {
        if (turn.isStopped || error instanceof Failure) throw error;
        throw new Failure('broken');
      } finally {
        clearTimeout(timer);
      }
      if (chunk.done) return;
      const lines = (rest + decoder.decode(chunk.value, { stream: true })).split('\n');
      rest = lines.pop();
      for (const ended of lines) {
        const line = ended.replace(/\r$/, '');
        if (line.startsWith('data:')) {
          data.push(line.slice(5).replace(/^ /, ''));
        } else if (line === '' && data.length) {
          const text = data.join('\n');
          data = [];
          let event;
          try {
            event = JSON.parse(text);
          } catch {
            throw new Failure('broken');
          }
          yield event;
        }
      }
    }
  }

  // ---------------------------------------------------------------------------------------------------- doors

  let before = null;

  function open() {
    if (isPage || !panel.hidden) return;
    before = document.activeElement;
    panel.hidden = false;
    root.classList.add('open');
    launcher.setAttribute('aria-expanded', 'true');
    launcher.setAttribute('aria-label', t.close);
    launcher.replaceChildren(icon('cross'));
    fit();
    toNewest();
    field.focus();
    begin();
  }

  function close() {
    if (isPage || panel.hidden) return;
    panel.hidden = true;
    root.classList.remove('open');
    launcher.setAttribute('aria-expanded', 'false');
    launcher.setAttribute('aria-label', t.open);
    launcher.replaceChildren(icon('chat'));
    const back = before && before !== document.body && before !== host && before.isConnected ? before : launcher;
    back.focus();
    before = null;
  }

  function toggle() {
    if (panel.hidden) open();
    else close();
  }

  function stop() {
    if (!current) return;
    current.isStopped = true;
    current.control.abort();
  }

  /** Begins a new conversation. */
  function reset() {
    const turn = current;
    current = null;
    turn?.control.abort();
    pending.replaceChildren();
    session = null;
    entries = [];
    save();
    showAll();
    setBusy(false);
    if (!panel.hidden) field.focus();
  }

  function mount() {
    restore();
    showAll();
    fit();
    document.body.append(host);
    if (isPage) {
      document.documentElement.lang = lang;
      document.title = settings.title || t.title;
      begin();
      if (window.top === window) field.focus();
    }
  }

  if (document.body) mount();
  else document.addEventListener('DOMContentLoaded', mount);

  window.CarrelChat = Object.freeze({
    open,
    close,
    toggle,
    /** Opens the chat and asks; resolves with `{text, citations, grounded, stopped}`, `{error}`, or null. */
    ask: (text) => {
      open();
      return ask(text);
    },
    stop,
    reset,
    get isOpen() {
      return isPage || !panel.hidden;
    },
    element: host,
  });
})();
