//! The status page of a hub, in Chromium.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;

use base64::prelude::{BASE64_STANDARD, Engine};
use rustix::process::Signal;
use serde_json::json;

use crate::context::{Case, Context, Topic};
use crate::daemon::Daemon;
use crate::devtools::Tab;
use crate::kit::Running;
use crate::sessions::target;

/// The image in the documentation, below the repository.
const IMAGE: &str = "docs/images/hub-status.png";

/// An expression for everything that a page can store.
const STORED: &str = "(async () => JSON.stringify([localStorage.length, sessionStorage.length, document.cookie, \
                      (await indexedDB.databases()).length, history.length, location.href]))()";

pub(crate) fn cases() -> Vec<Case> {
    let mut topic = Topic::new("status page");
    topic.ours("a typed token shows the figures, and nothing is stored", shows_figures);
    topic.into_cases()
}

fn shows_figures(context: &Context) {
    let connect = |args: &str| context.connect(args).run().expect_success().stdout_text();
    let key = context.folder.join("hub.key").display().to_string();
    let keys = context.file("hub.keys", connect(&format!("--mint-signing-key {key}")));
    let token = |claims: &str| {
        let args = format!("--mint-token {claims},aud=hub.example,ttl=1h --signing-key {key}");
        connect(&args).trim_end().to_owned()
    };
    let hub = Daemon::start("hub", 1, &context.folder.join("hub"), |ports| {
        let mut command = Command::new(&context.peers.connect);
        command.arg("--relay").arg(format!("ws://127.0.0.1:{}/hub", ports[0]));
        command.args(["--relay-name", "hub.example", "--token-keys"]).arg(&keys);
        command
    })
    .unwrap();
    let address = format!("127.0.0.1:{}", hub.ports[0]);
    // One refused request, so that there is a figure to show.
    let denied =
        format!("-x ws://{address}/hub/v1/lab1/dest --token-file {}", context.file("no", "x").display());
    context.connect(denied).run().expect_code(6);

    let mut tab = Tab::open(&context.folder.join("profile"));
    let url = format!("http://{address}/hub/status");
    tab.call("Page.navigate", &json!({"url": url}));
    tab.wait_for("document.readyState === 'complete' && document.title === 'Relay hub'");
    let before = tab.value(STORED);
    let shows = |text: &str| format!("document.body.innerText.includes({})", json!(text));

    tab.value("document.getElementById('token').focus()");
    tab.type_line(&token("role=dest,session=lab1"));
    tab.wait_for(&shows("403: "));
    assert_eq!(tab.value("document.getElementById('figures').hidden"), true);

    let good = token("role=stats");
    tab.type_line(&good);
    tab.wait_for(&shows("Sessions with an origin"));
    assert_eq!(tab.value("document.getElementById('sessions').textContent"), "0");
    // The request without a valid token, and the one with the wrong role.
    for label in ["token", "forbidden"] {
        let row = format!(
            "[...document.querySelectorAll('#refused div')].some(row => row.textContent === '{label}1')"
        );
        tab.wait_for(&row);
    }
    let sessions = Sessions::start(context, &address, &token);
    for expression in
        ["figure('sessions') === '1'", "figure('pairs') === '1'", "figure('down').startsWith('64.0 MiB')"]
    {
        let expression = expression.replace("figure(", "(id => document.getElementById(id).textContent)(");
        tab.wait_for(&expression);
    }
    assert_eq!(tab.value("document.getElementById('token').value"), "");
    // The page polls.
    tab.value("window.first = document.getElementById('state').textContent");
    tab.wait_for("window.first !== document.getElementById('state').textContent");

    assert_eq!(tab.value(STORED), before, "the page has stored something");
    assert!(!tab.value("document.documentElement.outerHTML").to_string().contains(&good));
    expect_accessible(&mut tab);
    let cookies = tab.call("Network.getCookies", &json!({}));
    assert_eq!(cookies["cookies"], json!([]));
    // `STORED` reads cookies, which counts as slow.
    let issues = tab.events("Audits.issueAdded").into_iter();
    let issues: Vec<_> = issues.filter(|it| it["params"]["issue"]["code"] != "PerformanceIssue").collect();
    assert!(issues.is_empty(), "{issues:?}");
    assert!(tab.events("Runtime.exceptionThrown").is_empty());
    let errors = tab.events("Log.entryAdded");
    // The answer 403 is the only message.
    assert!(
        errors.iter().all(|entry| entry["params"]["entry"]["text"].as_str().unwrap().contains("403")),
        "{errors:?}"
    );
    expect_policy(&mut tab);
    take_picture(&mut tab, context);
    tab.close();
    sessions.stop();
}

/// An origin, and a client that has received 64 MiB.
struct Sessions {
    origin: Running,
    client: Running,
}

impl Sessions {
    fn start(context: &Context, hub: &str, token: &dyn Fn(&str) -> String) -> Self {
        let (port, _) = target(|mut client, _| {
            client.write_all(&vec![0; 64 << 20]).unwrap();
            // Ends when the client does.
            let _ = client.read(&mut [0]);
        });
        let [of_origin, of_client] = ["origin", "dest"].map(|role| {
            context.file(role, token(&format!("role={role},session=lab1"))).display().to_string()
        });
        let origin = format!("--origin relay+ws://{hub}/hub/lab1 --token-file {of_origin} 127.0.0.1 {port}");
        let origin = context.connect(origin).start();
        origin.wait_stdout_has("SOCKET_ID");
        let client =
            context.connect(format!("-x ws://{hub}/hub/v1/lab1/dest --token-file {of_client}")).start();
        Self { origin, client }
    }

    fn stop(mut self) {
        for run in [&mut self.client, &mut self.origin] {
            run.signal(Signal::TERM);
            run.wait();
        }
    }
}

/// The browser computes a name for each control, and colors with enough contrast in both schemes.
fn expect_accessible(tab: &mut Tab) {
    let tree = tab.call("Accessibility.getFullAXTree", &json!({}));
    let nodes = tree["nodes"].as_array().unwrap();
    for (role, name) in
        [("textbox", "Token with the role stats"), ("button", "Show"), ("heading", "Relay hub")]
    {
        let is_there =
            nodes.iter().any(|node| node["role"]["value"] == role && node["name"]["value"] == name);
        assert!(is_there, "no {role} '{name}'");
    }
    assert!(nodes.iter().any(|node| node["role"]["value"] == "status"), "no live region");
    for scheme in ["light", "dark"] {
        set_scheme(tab, scheme);
        let contrast = tab.value(CONTRAST).as_f64().unwrap();
        assert!(contrast >= 4.5, "{scheme}: contrast of {contrast}");
    }
}

/// An expression for the least contrast between text and page (WCAG 2.2, section 1.4.3).
const CONTRAST: &str = r"(() => {
    const luminance = color => {
        const [r, g, b] = color.match(/[\d.]+/g).map(part => part / 255)
            .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const page = luminance(getComputedStyle(document.body).backgroundColor);
    const contrasts = [...document.querySelectorAll('main *')].map(element => {
        const text = luminance(getComputedStyle(element).color);
        return (Math.max(text, page) + 0.05) / (Math.min(text, page) + 0.05);
    });
    return Math.min(...contrasts);
})()";

fn set_scheme(tab: &mut Tab, scheme: &str) {
    let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
    tab.call("Emulation.setEmulatedMedia", &features);
}

/// The policy blocks other scripts, other styles and connections to other servers.
fn expect_policy(tab: &mut Tab) {
    tab.value(
        "window.violations = []; addEventListener('securitypolicyviolation', event => \
         violations.push(event.effectiveDirective))",
    );
    for (action, directive) in [
        (
            "document.head.append(Object.assign(document.createElement('script'), {text: 'window.hacked = 1'}))",
            "script-src-elem",
        ),
        ("document.body.setAttribute('style', 'color: red')", "style-src-attr"),
        ("fetch('http://127.0.0.1:1/').catch(() => 0)", "connect-src"),
        ("document.body.append(Object.assign(new Image(), {src: 'data:,'}))", "img-src"),
    ] {
        tab.value(&format!("void {action}"));
        tab.wait_for(&format!("violations.includes('{directive}')"));
    }
    assert_eq!(tab.value("typeof hacked"), "undefined");
}

/// Takes a picture. With `CONNECT_WRITE_SCREENSHOT`, that is the one in the documentation.
fn take_picture(tab: &mut Tab, context: &Context) {
    set_scheme(tab, "light");
    let size = json!({"width": 720, "height": 780, "deviceScaleFactor": 1, "mobile": false});
    tab.call("Emulation.setDeviceMetricsOverride", &size);
    let picture = tab.call("Page.captureScreenshot", &json!({"format": "png", "optimizeForSpeed": false}));
    let picture = BASE64_STANDARD.decode(picture["data"].as_str().unwrap()).unwrap();
    assert!(picture.starts_with(b"\x89PNG"));
    let file = match std::env::var_os("CONNECT_WRITE_SCREENSHOT") {
        Some(_) => Path::new(env!("CARGO_MANIFEST_DIR")).join(IMAGE),
        None => context.folder.join("status.png"),
    };
    fs::write(file, picture).unwrap();
}
