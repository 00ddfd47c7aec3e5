//! The chat's script before a server that says, cuts off and refuses what a test wants: what a real one does at its
//! worst moments, and what a language model may write.

use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::RawQuery;
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use crate::browser::Browser;

const SCRIPT: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/widget/chat-widget.js"));
const SHADOW: &str = "CarrelChat.element.shadowRoot";

/// What a language model may write: what is shown as more than text, and what never is.
const WRITTEN: &str = "## Heading\n\nFirst **bold [1]** and `a < b`.\nSecond line [2], [3] and [x](javascript:alert(1)).\n\n\
    - one ![](https://evil.example/a.png)\n- two [1]\n\n7. seven\n8. eight\n\n```js\n<img src=x onerror=alert(1)> [1] **no**\n```\n\
    <b>not bold</b> &amp; https://evil.example/link";

fn event(value: &Value) -> String {
    format!("data: {value}\n\n")
}

fn events(parts: &[Value]) -> String {
    parts.iter().map(event).collect()
}

/// A whole answer.
fn answer(text: &str, citations: Value) -> String {
    events(&[
        json!({"type": "session", "session_id": "01900000-0000-7000-8000-000000000001"}),
        json!({"type": "tool_call", "tool_name": "hybrid_search", "args": {}, "tool_call_id": "1"}),
        json!({"type": "tool_result", "tool_call_id": "1", "summary": "8 passages found"}),
        json!({"type": "text", "content": text}),
        json!({"type": "something new", "with": ["fields"]}),
        json!({"type": "citations", "citations": citations}),
        json!({"type": "end", "message_id": "01900000-0000-7000-8000-000000000002"}),
    ])
}

fn citations() -> Value {
    let one = |marker: u64| {
        json!({"marker": marker, "title": format!("Title {marker}"), "source": "a.pdf", "label": "a.pdf, page 3",
               "heading_path": [], "quote": "wrapped\nlines\n\n- and\n- a list", "start": 0, "end": 4})
    };
    json!([one(1), one(2)])
}

async fn chat(body: String) -> Response {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let message = serde_json::from_str::<Value>(&body).unwrap()["message"].as_str().unwrap().to_owned();
    let text = match message.as_str() {
        "written" => answer(WRITTEN, citations()),
        "unfounded" => answer("Well, I think so.", json!([])),
        "pieces" => {
            let text = answer("Grüße aus 東京 🗼", json!([])).replace('\n', "\r\n");
            let text = format!(": keep-alive\r\n\r\n{text}: keep-alive\r\n\r\n");
            let bytes: Vec<_> = text.bytes().map(|byte| Ok::<_, std::io::Error>(Bytes::from(vec![byte]))).collect();
            return streamed(Body::from_stream(stream::iter(bytes)));
        }
        "for ever" => {
            let begun = answer("As far as it came", json!([])).split_inclusive("\n\n").take(4).collect::<String>();
            let begun = stream::iter([Ok::<_, std::io::Error>(Bytes::from(begun))]);
            return streamed(Body::from_stream(begun.chain(stream::pending())));
        }
        "cut off" => answer("Half", json!([])).split_inclusive("\n\n").take(4).collect(),
        "no JSON" => "data: {\n\n".to_owned(),
        "once" if ASKED.fetch_add(1, Ordering::SeqCst) == 0 => events(&[
            json!({"type": "session", "session_id": "s"}),
            json!({"type": "error", "code": "unavailable", "content": "<b>not shown</b>"}),
        ]),
        "once" => answer("The second time it went well.", json!([])),
        status => {
            let problem = json!({"code": "some_code", "detail": "<b>not shown</b>"}).to_string();
            let headers = [("x-request-id", "the-request"), ("content-type", "application/problem+json")];
            return (axum::http::StatusCode::from_u16(status.parse().unwrap()).unwrap(), headers, problem)
                .into_response();
        }
    };
    streamed(text.into())
}

fn streamed(body: Body) -> Response {
    ([(header::CONTENT_TYPE, "text/event-stream")], body).into_response()
}

/// The browser on a page with the chat, and the page's site.
async fn stage() -> Option<(Browser, String)> {
    let mut browser = Browser::start()?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let site = format!("http://{}", listener.local_addr().unwrap());
    let page =
        "<!doctype html><html lang=en><title>A page</title><style>* { color: red; font-size: 3px; display: block }</style>
         <p>A page<script src=/static/chat-widget.js data-key=k data-color='#COLOUR'></script>"
        .to_owned();
    let fit = json!({"valid": true, "workspace_id": "w", "agent": {"id": "a", "name": "Agent", "description": null}});
    let script = ([(header::CONTENT_TYPE, "text/javascript")], SCRIPT);
    let router = Router::new()
        .route("/", get(async move |RawQuery(colour)| Html(page.replace("COLOUR", &colour.unwrap_or_default()))))
        .route("/static/chat-widget.js", get(async || script))
        .route("/widget/validate", post(async || axum::Json(fit)))
        .route("/chat/stream", post(chat));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    browser.open(&site);
    Some((browser, site))
}

/// What the last message shows.
fn newest(browser: &mut Browser) -> String {
    let shown = browser.value(&format!("[...{SHADOW}.querySelectorAll('.log .message')].pop().innerText"));
    shown.as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_what_a_model_writes_paragraphs_lists_bold_code_and_citations_are_shown_as_such() {
    let Some((mut browser, site)) = stage().await else { return };
    browser.value("CarrelChat.ask('written')");
    let outline = "(function walk(node) {
        if (node.nodeType === 3) return node.data;
        const inside = [...node.childNodes].map(walk).join('');
        return node.localName === 'br' ? '/' : `${node.localName}(${inside})`;
    })";
    let shown = browser.value(&format!("{outline}({SHADOW}.querySelector('.log .answer > div'))"));
    let expected = "div(p(strong(Heading))\
        p(First strong(bold button(1)) and code(a < b)./Second line button(2), [3] and [x](javascript:alert(1)).)\
        ul(li(one ![](https://evil.example/a.png))li(two button(1)))\
        ol(li(seven)li(eight))\
        pre(code(<img src=x onerror=alert(1)> [1] **no**))\
        p(<b>not bold</b> &amp; https://evil.example/link))";
    assert_eq!(shown, expected);
    assert_eq!(browser.value(&format!("{SHADOW}.querySelector('.log ol').start")), 7);
    browser.value(&format!("{SHADOW}.querySelector('.cite').click()"));
    let quote = browser.value(&format!("{SHADOW}.querySelector('.card blockquote').textContent"));
    assert_eq!(quote, "wrapped lines\n\n- and\n- a list");
    assert!(browser.asked().iter().all(|url| url.starts_with(&site)), "{:?}", browser.asked());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_in_pieces_is_read_and_one_that_fails_is_told_of_and_asked_again() {
    let Some((mut browser, _)) = stage().await else { return };
    let told = browser.value("CarrelChat.ask('pieces')");
    assert_eq!(told["text"], "Grüße aus 東京 🗼");
    browser.value("CarrelChat.ask('unfounded')");
    assert!(newest(&mut browser).starts_with("Not found in the documents\n"), "{}", newest(&mut browser));
    for (question, kind, words) in [
        ("cut off", "broken", "The answer broke off."),
        ("no JSON", "broken", "The answer broke off."),
        ("403", "refused", "not set up for this page"),
        ("409", "no_agent", "Nobody answers here"),
        ("422", "too_long", "too long"),
        ("429", "too_many", "Too many questions"),
        ("503", "unavailable", "busy"),
        ("500", "internal", "Something went wrong"),
        ("502", "internal", "Something went wrong"),
    ] {
        let told = browser.value(&format!("CarrelChat.ask('{question}')"));
        assert_eq!(told, json!({"error": kind}), "{question}");
        let shown = newest(&mut browser);
        assert!(shown.contains(words) && shown.contains("Try again") && !shown.contains("not shown"), "{shown}");
        assert_eq!(shown.contains("Reference: the-request"), question.parse::<u16>().is_ok(), "{shown}");
    }
    assert_eq!(browser.value("CarrelChat.ask('once')"), json!({"error": "unavailable"}));
    let count = |browser: &mut Browser| browser.value(&format!("{SHADOW}.querySelectorAll('.question').length"));
    let before = count(&mut browser);
    browser.value(&format!("[...{SHADOW}.querySelectorAll('.failure button')].pop().click()"));
    browser.until(&format!("{SHADOW}.querySelector('.log').innerText.includes('The second time it went well.')"));
    assert_eq!(count(&mut browser), before, "the question is not repeated");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_can_be_stopped_and_what_came_of_it_stays() {
    let Some((mut browser, _)) = stage().await else { return };
    browser.value("CarrelChat.open()");
    let ask = |browser: &mut Browser| {
        browser.type_text("for ever");
        browser.press("Enter");
        browser.until(&format!("{SHADOW}.querySelector('.pending').innerText.includes('As far as it came')"));
    };
    ask(&mut browser);
    assert_eq!(browser.value(&format!("{SHADOW}.querySelector('.status').innerText")), "Writing the answer …");
    assert_eq!(browser.value("CarrelChat.ask('another')"), Value::Null, "one at a time");
    browser.press("Tab");
    assert_eq!(browser.value(&format!("{SHADOW}.activeElement.getAttribute('aria-label')")), "Stop the answer");
    browser.press("Enter");
    browser.until(&format!("{SHADOW}.querySelector('.log .answer')"));
    let shown = newest(&mut browser);
    assert!(shown.contains("As far as it came") && shown.contains("Stopped"), "{shown}");
    assert_eq!(browser.value(&format!("{SHADOW}.activeElement.id")), "field", "the focus is where one goes on");
    assert_eq!(browser.value(&format!("{SHADOW}.querySelector('.status').innerText")), "");
    // A conversation that is begun anew has no place for an answer to the old one.
    ask(&mut browser);
    browser.value("CarrelChat.reset()");
    let told = browser.value("CarrelChat.ask('pieces')");
    assert_eq!(told["text"], "Grüße aus 東京 🗼");
    assert_eq!(browser.value(&format!("{SHADOW}.querySelectorAll('.answer').length")), 1);
}

/// The least contrast of any text that is shown with what lies behind it, and the text.
const LEAST_CONTRAST: &str = "(root => {
    const parse = colour => colour.match(/[\\d.]+/g).map(Number);
    const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
        .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, at) => sum + v * [0.2126, 0.7152, 0.0722][at], 0);
    const behind = element => {
        for (let at = element; at; at = at.parentElement) {
            const colour = parse(getComputedStyle(at).backgroundColor);
            if (colour.length === 3 || colour[3] === 1) return colour;
        }
        return [255, 255, 255];
    };
    const contrast = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
    let least = [21, ''];
    for (const element of root.querySelectorAll('*')) {
        const own = [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
        const isIcon = element.classList.contains('icon');
        if (!(own || isIcon || element.id === 'field') || !element.getClientRects().length) continue;
        const style = getComputedStyle(element);
        const found = contrast(parse(style.color), behind(isIcon ? element.parentElement : element));
        if (found < least[0]) least = [found, element.outerHTML];
        if (element.id === 'field') {
            const hint = contrast(parse(getComputedStyle(element, '::placeholder').color), behind(element));
            if (hint < least[0]) least = [hint, 'placeholder'];
        }
    }
    return least;
})";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_can_be_read_and_has_a_name_whatever_the_colour() {
    let Some((mut browser, site)) = stage().await else { return };
    for colour in ["", "ffd34d", "777", "000000", "ffffff", "ff0000", "no-colour"] {
        browser.open(&format!("{site}/?{colour}"));
        browser.value("CarrelChat.ask('written')");
        browser.value(&format!("{SHADOW}.querySelector('.cite').click()"));
        browser.value("CarrelChat.ask('unfounded')");
        browser.value("CarrelChat.ask('503')");
        let least = browser.value(&format!("{LEAST_CONTRAST}({SHADOW}.querySelector('.root'))"));
        assert!(least[0].as_f64().unwrap() >= 4.5, "{colour}: {least}");
        let nameless = "[...ROOT.querySelectorAll('button, textarea, [role], [tabindex]')].filter(e =>
            e.getClientRects().length && !e.getAttribute('aria-label') && !e.getAttribute('aria-labelledby') && !e.innerText && !e.labels?.length
            && !['log', 'status'].includes(e.getAttribute('role'))).map(e => e.outerHTML)";
        assert_eq!(browser.value(&nameless.replace("ROOT", SHADOW)), json!([]), "{colour}");
        // The page's own rules reach nothing in here.
        let size = browser.value(&format!("getComputedStyle({SHADOW}.querySelector('.answer p')).fontSize"));
        assert_eq!(size, "16px");
    }
}
