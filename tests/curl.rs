//! The people's side through curl and grpcurl: with a token and without, on loopback and off it.

mod harness;

use std::fs;
use std::path::Path;
use std::process::Output;

use harness::{PeopleOf, Server, tools};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

const SHOP: &str = "
domain: shop
rules:
  - { name: per-key, count_by: [key], limits: [{ name: month, requests: 100, per: month }] }
";

const TOKEN: &str = "a-token-of-some-length";

/// One way to reach a server, in all of which the same must happen.
struct Setting {
    server: Server,
    token: Option<&'static str>,
    _folder: TempDir,
}

impl Setting {
    async fn all() -> Vec<Setting> {
        let mut all = Vec::new();
        for (beyond_loopback, token) in
            [(false, None), (false, Some(TOKEN)), (true, Some(TOKEN)), (true, None)]
        {
            let folder = TempDir::new().expect("a folder");
            let path = folder.path().join("token");
            fs::write(&path, TOKEN).expect("a writable folder");
            let token_file = token.map(|_| path.as_path());
            let people = PeopleOf { beyond_loopback, token_file, audit_log: None };
            let server = Server::start_for(SHOP, people).await;
            all.push(Setting { server, token, _folder: folder });
        }
        all
    }

    fn addr(&self) -> String {
        format!("127.0.0.1:{}", self.server.http.port())
    }

    /// Off loopback and without a token, nobody may.
    fn is_shut(&self) -> bool {
        self.server.http.ip().is_unspecified() && self.token.is_none()
    }

    fn headers(&self, with_token: bool) -> Vec<String> {
        let token = self.token.filter(|_| with_token);
        let header = |token| ["-H".into(), format!("authorization: Bearer {token}")];
        token.map(header).into_iter().flatten().collect()
    }
}

async fn output(program: &Path, arguments: &[String]) -> Output {
    Command::new(program).args(arguments).output().await.expect("it can be run")
}

/// What curl says: status and body.
async fn curl(
    binary: &Path,
    setting: &Setting,
    flags: &[&str],
    path: &str,
    with_token: bool,
) -> (String, Value) {
    let mut arguments = vec!["-s".to_owned(), "-w".into(), "\n%{http_code}".into()];
    arguments.extend(setting.headers(with_token));
    arguments.extend(flags.iter().map(|&flag| flag.to_owned()));
    arguments.push(format!("http://{}{path}", setting.addr()));
    let Output { stdout, .. } = output(binary, &arguments).await;
    let text = String::from_utf8(stdout).expect("text");
    let (body, status) = text.rsplit_once('\n').expect("a status on a line of its own");
    (status.to_owned(), serde_json::from_str(body).unwrap_or_else(|_| panic!("{text}")))
}

const USAGE: &str = "/v1/usage?domain=shop&entries=key=a";

#[tokio::test]
async fn usage_reset_and_adjust_act_through_curl() {
    let Some(binary) = tools::installed("curl", "curl: people's side") else { return };
    for setting in Setting::all().await {
        let ask = async |flags: &[&str], path| curl(&binary, &setting, flags, path, true).await;
        if setting.is_shut() {
            assert_eq!(ask(&[], USAGE).await.0, "403");
            continue;
        }
        if setting.token.is_some() {
            assert_eq!(curl(&binary, &setting, &[], USAGE, false).await.0, "401");
        }
        let json = ["-H", "content-type: application/json", "-d"];
        let body = r#"{"domain":"shop","entries":{"key":"a"},"limit":"per-key.month","set":60}"#;
        let (_, adjusted) = ask(&[&json[..], &[body]].concat(), "/v1/adjust").await;
        assert_eq!(adjusted["adjusted"]["after"], 60, "{adjusted}");
        // HTTP/2 is spoken on the same port.
        for flags in [&["--http1.1"][..], &["--http2-prior-knowledge"]] {
            assert_eq!(ask(flags, USAGE).await.1["limits"][0]["remaining"], 40);
        }
        let body = r#"{"domain":"shop","entries":{"key":"a"}}"#;
        let (_, reset) = ask(&[&json[..], &[body]].concat(), "/v1/reset").await;
        assert_eq!(reset["reset"][0]["before"], 60, "{reset}");
        assert_eq!(ask(&[], USAGE).await.1["limits"][0]["used"], 0);
    }
}

#[tokio::test]
async fn people_are_answered_while_the_data_side_cannot_run() {
    let Some(binary) = tools::installed("curl", "curl: a busy server") else { return };
    let server = Server::start(SHOP).await;
    server.client().await.ask("shop", &["key=a"]).await;
    let health = format!("http://{}/healthcheck", server.http);
    // Run on the only thread that the data side has here, which so does nothing else meanwhile.
    let output = std::process::Command::new(binary).args(["-s", "-m", "30", &health]).output();
    assert_eq!(output.expect("curl can be run").stdout, b"OK");
    server.stop().await;
}

/// What grpcurl says: the answer, or the error as text.
async fn grpcurl(
    binary: &Path,
    setting: &Setting,
    method: &str,
    message: Value,
    with_token: bool,
) -> Result<Value, String> {
    let mut arguments = vec!["-plaintext".to_owned()];
    arguments.extend(setting.headers(with_token));
    arguments.extend(["-d".into(), message.to_string(), setting.addr()]);
    arguments.push(format!("tollgate.v1.Quotas/{method}"));
    let Output { status, stdout, stderr } = output(binary, &arguments).await;
    if status.success() {
        return Ok(serde_json::from_slice(&stdout).expect("JSON"));
    }
    Err(String::from_utf8_lossy(&stderr).into_owned())
}

#[tokio::test]
async fn all_methods_act_through_grpcurl() {
    let Some(binary) = tools::find("grpcurl", "grpcurl: people's side") else { return };
    for setting in Setting::all().await {
        act_through_grpcurl(&binary, &setting).await;
    }
}

async fn act_through_grpcurl(binary: &Path, setting: &Setting) {
    let ask = async |method, message| grpcurl(binary, setting, method, message, true).await;
    let whom = json!({ "domain": "shop", "entries": [{ "key": "key", "value": "a" }] });
    if setting.is_shut() {
        let error = ask("Usage", whom).await.expect_err("nobody may");
        assert!(error.contains("PermissionDenied") || error.contains("--token-file"), "{error}");
        return;
    }
    if setting.token.is_some() {
        let error = grpcurl(binary, setting, "Usage", whom.clone(), false).await;
        let error = error.expect_err("a token is needed");
        assert!(error.contains("Unauthenticated") || error.contains("token"), "{error}");
    }
    let mut adjust = whom.clone();
    adjust["limit"] = "per-key.month".into();
    adjust["set"] = 60.into();
    let adjusted = ask("Adjust", adjust.clone()).await.expect("an answer");
    assert_eq!(adjusted, json!({ "adjusted": { "limit": "per-key.month", "after": "60" } }));
    let usage = ask("Usage", whom.clone()).await.expect("an answer");
    assert_eq!(usage["limits"][0]["remaining"], "40");
    let reset = ask("Reset", whom.clone()).await.expect("an answer");
    assert_eq!(reset["reset"][0]["before"], "60");
    assert_eq!(ask("Erase", whom).await, Ok(json!({})));
    let rules = ask("Rules", json!({})).await.expect("an answer");
    assert_eq!(rules["domains"][0]["rules"][0]["limits"][0]["requests"], "100");
    assert_eq!(ask("Status", json!({})).await.expect("an answer")["state"], "serving");
    adjust["set"] = (-1).into();
    let error = ask("Adjust", adjust).await.expect_err("nothing is used less than never");
    assert!(error.contains("InvalidArgument"), "{error}");
    let stranger = json!({ "domain": "shop", "entries": [{ "key": "user", "value": "a" }] });
    let error = ask("Usage", stranger).await.expect_err("no rule applies");
    assert!(error.contains("NotFound"), "{error}");
}
