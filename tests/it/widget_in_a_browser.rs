//! The chat as a visitor of another site's page has it: in a real browser, with real keys.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, State};
use axum::response::Html;
use axum::routing::get;
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::server::Server;
use crate::tenant::{Tenant, id};

/// What is shown.
const SHADOW: &str = "CarrelChat.element.shadowRoot";

/// A page with the chat on a site of its own, a workspace with a handbook, a browser.
struct Stage {
    server: Arc<Server>,
    tenant: Tenant,
    key: Value,
    site: String,
    browser: Browser,
}

/// The page of another site, with a policy as strict as it can be.
async fn page(
    State(server): State<String>,
    Query(query): Query<HashMap<String, String>>,
) -> ([(&'static str, String); 1], Html<String>) {
    let (lang, attributes) = (&query["lang"], &query["attributes"]);
    let policy = format!(
        "default-src 'none'; script-src {server}; connect-src {server}; img-src 'self'; require-trusted-types-for 'script'"
    );
    if let Some(address) = query.get("frame") {
        let html = format!(
            "<!doctype html><html lang=\"{lang}\"><title>A clinic</title><iframe src=\"{address}\"></iframe></html>"
        );
        return ([("content-security-policy", format!("default-src 'none'; frame-src {server}"))], Html(html));
    }
    let html = format!(
        "<!doctype html><html lang=\"{lang}\"><title>A clinic</title><h1>A clinic</h1><a href=\"#top\">Up</a>
         <script src=\"{server}/static/chat-widget.js\" {attributes} defer></script></html>"
    );
    ([("content-security-policy", policy)], Html(html))
}

impl Stage {
    async fn new() -> Option<Stage> {
        let browser = Browser::start()?;
        let server = Server::shared();
        let tenant = Tenant::new(&server.admin()).await;
        tenant.handbook().await;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let site = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().route("/", get(page)).with_state(server.url.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let body = json!({"name": "site", "scopes": ["chat"], "allowed_origins": [site, server.url]});
        let key = tenant.admin.post(&tenant.path("/api-keys"), &body).await.is(201).json();
        Some(Stage { server, tenant, key, site, browser })
    }

    fn token(&self) -> &str {
        self.key["key"].as_str().unwrap()
    }

    /// Opens the site's page in a language, with attributes on the chat's script.
    fn visit(&mut self, lang: &str, attributes: &str) {
        let attributes = format!("data-key=\"{}\" {attributes}", self.token());
        let query = [("lang", lang), ("attributes", &attributes)];
        let url = url::Url::parse_with_params(&self.site, query).unwrap().to_string();
        self.browser.open(&url);
    }

    /// The text of the first element that a selector finds, as it is shown.
    fn text(&mut self, selector: &str) -> String {
        let shown = self.browser.until(&format!("{SHADOW}.querySelector('{selector}')?.innerText"));
        shown.as_str().unwrap().to_owned()
    }

    /// The label or text of what has the focus.
    fn focus(&mut self) -> String {
        let label =
            format!("(e => e?.getAttribute('aria-label') || e?.id || e?.innerText || '')({SHADOW}.activeElement)");
        self.browser.value(&label).as_str().unwrap().to_owned()
    }

    fn count(&mut self, selector: &str) -> u64 {
        self.browser.value(&format!("{SHADOW}.querySelectorAll('{selector}').length")).as_u64().unwrap()
    }

    /// Asserts that nobody but the site and the server was asked for anything, and that nothing went wrong.
    #[track_caller]
    fn check(&self) {
        let strangers = |url: &String| !url.starts_with(&self.site) && !url.starts_with(&self.server.url);
        let asked: Vec<String> = self.browser.asked().into_iter().filter(strangers).collect();
        assert_eq!(asked, Vec::<String>::new());
        assert_eq!(self.browser.complaints(), Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_visitor_asks_with_the_keyboard_alone_and_reads_the_quote() {
    let Some(mut stage) = Stage::new().await else { return };
    stage.visit("de-AT", "");
    let own = stage.server.url.clone();
    let asked = |stage: &Stage| stage.browser.asked().iter().filter(|url| url.starts_with(&own)).count();
    assert_eq!(asked(&stage), 1, "the script, and nothing before the chat is opened");
    stage.browser.press("Tab");
    stage.browser.press("Tab");
    assert_eq!(stage.focus(), "Chat öffnen");
    stage.browser.press("Enter");
    assert_eq!(stage.focus(), "field");
    let dialog = stage.browser.value(&format!(
        "(p => [p.getAttribute('role'), p.getAttribute('aria-modal'), p.hidden,
                {SHADOW}.getElementById(p.getAttribute('aria-labelledby')).innerText,
                CarrelChat.element.lang, {SHADOW}.querySelector('.launcher').getAttribute('aria-expanded')])
         ({SHADOW}.getElementById('panel'))"
    ));
    assert_eq!((&dialog[0], &dialog[1], &dialog[2]), (&json!("dialog"), &json!("true"), &json!(false)));
    assert_eq!((&dialog[4], &dialog[5]), (&json!("de"), &json!("true")));
    stage.browser.until(&format!("{SHADOW}.getElementById('title').innerText === 'An agent'"));

    // The focus stays within: there is nothing to send yet, so the field is the last.
    stage.browser.press("Tab");
    assert_eq!(stage.focus(), "Neues Gespräch");
    stage.browser.press("Shift+Tab");
    assert_eq!(stage.focus(), "field");

    stage.browser.type_text("Who services the centrifuge?");
    stage.browser.press("Enter");
    let answer = stage.text(".log .answer");
    assert!(answer.contains("Helena Brandt from Kranich Instruments"), "{answer}");
    assert_eq!(stage.text(".log .question").lines().last(), Some("Who services the centrifuge?"));
    assert_eq!(stage.count(".pending *"), 0, "what is finished stands in the log alone");
    assert_eq!(
        stage.browser.value(&format!("{SHADOW}.querySelector('[role=log]').getAttribute('aria-live')")),
        "polite"
    );

    for label in ["Nicht hilfreich", "Hilfreich", "Quelle 1: Laboratory"] {
        stage.browser.press("Shift+Tab");
        assert_eq!(stage.focus(), label);
    }
    assert_eq!(stage.count(".card:not([hidden])"), 0);
    stage.browser.press("Space");
    let card = stage.text(".card");
    assert!(card.contains("Laboratory") && card.contains("laboratory.md, Zeile 5 · Centrifuge"), "{card}");
    assert!(card.contains("The centrifuge is serviced by Helena Brandt"), "{card}");
    stage.browser.press("Space");
    assert_eq!(stage.count(".card:not([hidden])"), 0);

    stage.browser.press("Tab");
    stage.browser.press("Enter");
    stage.browser.until(&format!("{SHADOW}.querySelector('.tools').innerText.includes('Danke')"));
    let sessions = stage.tenant.client.pages(&stage.tenant.path("/sessions")).await;
    let messages = stage.tenant.path(&format!("/sessions/{}/messages", id(&sessions[0])));
    let messages = stage.tenant.client.get(&messages).await.is(200).json();
    assert_eq!(messages["messages"][1]["rating"], 1);

    stage.browser.press("Escape");
    assert_eq!(stage.count("#panel[hidden]"), 1);
    assert_eq!(stage.focus(), "Chat öffnen");
    // Opened by the page's own button, it gives the focus back to that.
    stage.browser.value("document.querySelector('a').focus(); CarrelChat.open()");
    assert_eq!(stage.focus(), "field");
    stage.browser.press("Escape");
    assert_eq!(stage.browser.value("document.activeElement.innerText"), "Up");
    stage.check();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_goes_on_over_pages_until_it_is_begun_anew() {
    let Some(mut stage) = Stage::new().await else { return };
    stage.visit("en", "");
    let first = stage.browser.value("CarrelChat.ask('Who services the centrifuge?')");
    assert_eq!((&first["grounded"], &first["citations"][0]["source"]), (&json!(true), &json!("laboratory.md")));
    stage.visit("en", "");
    assert_eq!(stage.count(".log .answer"), 1, "what was said is still there");
    assert_eq!(stage.count(".log .cite"), 1);
    let second = stage.browser.value("CarrelChat.ask('And how long does it take?')");
    assert!(second["text"].as_str().unwrap().contains("three hours"), "{second}");
    assert_eq!(stage.tenant.client.pages(&stage.tenant.path("/sessions")).await.len(), 1);

    // A session that the server forgot is no reason not to answer.
    let sessions = stage.tenant.client.pages(&stage.tenant.path("/sessions")).await;
    stage.tenant.client.delete(&stage.tenant.path(&format!("/sessions/{}", id(&sessions[0])))).await;
    let key = stage.tenant.key(&["chat"]).await;
    key.delete(&stage.tenant.path(&format!("/sessions/{}", id(&sessions[0])))).await;
    let third = stage.browser.value("CarrelChat.ask('Where do visitors park?')");
    assert!(third["text"].as_str().unwrap().contains("courtyard"), "{third}");

    stage.browser.value("CarrelChat.reset()");
    assert_eq!((stage.count(".log .answer"), stage.count(".log .question")), (0, 0));
    stage.browser.value("CarrelChat.ask('Where do visitors park?')");
    assert_eq!(stage.tenant.client.pages(&stage.tenant.path("/sessions")).await.len(), 2);
    let kept = stage.browser.value("JSON.stringify([{...sessionStorage}, {...localStorage}, document.cookie])");
    assert!(!kept.as_str().unwrap().contains(stage.token()), "the key is kept nowhere: {kept}");
    stage.check();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_documents_say_is_text_and_nothing_else() {
    let Some(mut stage) = Stage::new().await else { return };
    let hostile = [
        "<img src=x onerror=\"window.struck = 1\">",
        "[the manual](javascript:window.struck=2)",
        "![a map](https://tracker.example/pixel.png?zeppelin)",
        "<a href=\"https://evil.example\">press here</a>",
        "<script>window.struck = 3</script>",
        "**`<b onclick=x>`** and <https://evil.example/auto>",
    ];
    for (place, text) in hostile.iter().enumerate() {
        let content =
            format!("The zeppelin number {place} moors at the mast: {text} says the captain of zeppelin {place}.");
        let body = json!({"source": format!("zeppelin-{place}.txt"), "content": content, "content_type": "text/plain",
                          "title": format!("<img src=x onerror=window.struck=4> {text}")});
        stage.tenant.client.post(&stage.tenant.path("/documents"), &body).await.is(201);
    }
    stage.visit("en", "data-greeting=\"<img src=x onerror=window.struck=5>\" data-title=\"<b>A</b>\"");
    for place in 0..hostile.len() {
        let question = format!("<img src=x onerror=window.struck=6> Where does zeppelin number {place} moor?");
        let answer = stage.browser.value(&format!("CarrelChat.ask({})", json!(question)));
        assert_eq!(answer["grounded"], true, "{answer}");
    }
    // Each number opens its quote.
    let opened = "[...SHADOW.querySelectorAll('.cite')].map(cite => {
        cite.click();
        return cite.closest('.answer').querySelector('.card').innerText;
    }).join() + SHADOW.querySelector('.log').innerText";
    let shown = stage.browser.value(&opened.replace("SHADOW", SHADOW));
    let shown = shown.as_str().unwrap();
    for text in
        ["onerror=\"window.struck = 1\"", "javascript:window.struck=2", "https://tracker.example/pixel.png", "<script>"]
    {
        assert!(shown.contains(text), "{text} is shown as it is: {shown}");
    }
    assert_eq!(stage.count("a, img, script, iframe, b, svg, [onerror], [href], [src]"), 0);
    assert_eq!(stage.browser.value("window.struck ?? null"), Value::Null);
    assert_eq!(stage.text("h2"), "<b>A</b>");
    assert_eq!(stage.text(".greeting"), "<img src=x onerror=window.struck=5>");
    stage.check();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_answered_is_said_in_the_pages_language() {
    let Some(mut stage) = Stage::new().await else { return };
    for (lang, attributes, expected) in [
        ("de", "", "Dazu habe ich in den Dokumenten nichts gefunden."),
        ("en", "", "I found nothing in the documents that answers this question."),
        ("de", "data-lang=\"en\"", "I found nothing in the documents that answers this question."),
        ("fr", "data-lang=\"de-CH\"", "Dazu habe ich in den Dokumenten nichts gefunden."),
    ] {
        stage.visit(lang, attributes);
        stage.browser.value("CarrelChat.reset()");
        let answer = stage.browser.value("CarrelChat.ask('What is the capital of Mongolia?')");
        assert_eq!((&answer["grounded"], &answer["citations"]), (&json!(false), &json!([])));
        let shown = stage.text(".log .answer");
        assert!(shown.contains(expected), "{lang}: {shown}");
    }

    // Another key lists the site, so the page may hear what is wrong with its own.
    let body = json!({"name": "another", "scopes": ["chat"], "allowed_origins": [stage.site]});
    stage.tenant.admin.post(&stage.tenant.path("/api-keys"), &body).await.is(201);
    let path = stage.tenant.path(&format!("/api-keys/{}", id(&stage.key)));
    for (change, expected) in [
        (json!({"scopes": ["chat", "read"]}), "darf mehr als chatten"),
        (json!({"scopes": ["chat"], "allowed_origins": ["https://elsewhere.example"]}), "gilt für andere Seiten"),
        (json!({"is_active": false}), "gilt nicht (mehr)"),
    ] {
        stage.tenant.admin.patch(&path, &change).await.is(200);
        stage.visit("de", "");
        stage.browser.value("CarrelChat.open()");
        let shown = stage.text(".failure");
        assert!(shown.contains(expected) && shown.contains("Noch einmal versuchen"), "{shown}");
        assert_eq!(stage.browser.value("CarrelChat.ask('Hallo?').then(told => Boolean(told.error))"), true);
    }
    // What is mended is mended at once.
    let mended = json!({"is_active": true, "allowed_origins": [stage.site]});
    stage.tenant.admin.patch(&path, &mended).await.is(200);
    stage.browser.value(&format!("[...{SHADOW}.querySelectorAll('.failure button')].pop().click()"));
    stage.browser.until(&format!("{SHADOW}.querySelector('.log .answer')"));
    assert_eq!(stage.browser.complaints(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_its_own_takes_key_and_colour_from_its_address() {
    let Some(mut stage) = Stage::new().await else { return };
    let token = stage.token().to_owned();
    for (address, colour) in [
        (format!("?key={token}&lang=de&color=%23ffd34d&title=Pay+here"), "rgb(0, 0, 0)"),
        (format!("?lang=de#{token}"), "rgb(255, 255, 255)"),
        (format!("#key={token}&lang=de&color=%23777777"), "rgb(0, 0, 0)"),
    ] {
        let url = format!("{}/widget/chat{address}", stage.server.url);
        stage.browser.open("about:blank");
        stage.browser.open(&url);
        stage.browser.until("document.title === 'An agent'");
        assert_eq!(stage.browser.value("document.documentElement.lang"), "de");
        assert_eq!(stage.text("h2"), "An agent");
        assert_eq!(stage.count(".launcher"), 0);
        let on = format!("getComputedStyle({SHADOW}.querySelector('header')).color");
        assert_eq!(stage.browser.value(&on), colour, "{address}");
        stage.browser.value("CarrelChat.reset()");
        stage.browser.type_text("Where do visitors park?");
        stage.browser.press("Enter");
        assert!(stage.text(".log .answer").contains("courtyard"));
        stage.browser.press("Escape");
        assert_eq!(stage.count("#panel:not([hidden])"), 1, "there is nothing to go back to");
    }
    stage.check();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_stands_in_a_frame_of_those_sites_alone_that_its_key_lists() {
    let Some(mut stage) = Stage::new().await else { return };
    let elsewhere = json!({"name": "site", "scopes": ["chat"], "allowed_origins": ["https://elsewhere.example"]});
    let elsewhere = stage.tenant.admin.post(&stage.tenant.path("/api-keys"), &elsewhere).await.is(201).json();
    let address = format!("{}/widget/chat", stage.server.url);
    for (query, is_shown) in [
        (format!("?key={}&lang=de", stage.token()), true),
        (format!("?key={}", elsewhere["key"].as_str().unwrap()), false),
        (String::new(), false),
        (format!("#{}", stage.token()), false),
    ] {
        let frame = format!("{address}{query}");
        let parameters = [("lang", "de"), ("attributes", ""), ("frame", &frame)];
        stage.browser.open(url::Url::parse_with_params(&stage.site, parameters).unwrap().as_str());
        let shown: Vec<bool> = stage.browser.frames().iter().map(|url| url.starts_with(&address)).collect();
        assert_eq!(shown, [is_shown], "{query}: {:?}", stage.browser.frames());
    }
}
