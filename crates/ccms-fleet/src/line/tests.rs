//! A line against a server that says what a test tells it to.
use ccms_core::time::UtcMillis;
use ccms_device::{Config, Device, Input, Now, Output, Saved, Uptime};
use tokio::net::TcpListener;

use super::*;

/// The first request of a device: its configure.
fn configure() -> Request {
    let now = Now { uptime: Uptime(0), utc: Some(UtcMillis::from_seconds(1_765_929_600)) };
    let mut device = Device::new(Config::new(crate::identity::device_id(1, 0), 60.0, 25.0, 1), Saved::default(), now);
    device.handle(now, Input::Timeout);
    let sent = std::iter::from_fn(|| device.poll()).find_map(|output| match output {
        Output::Send(_, request) => Some(request),
        _ => None,
    });
    sent.expect("a device configures first")
}

async fn asks(line: &Line, request: &str) -> Outcome {
    let answered = line.exchange(request.as_bytes()).await;
    answered.map_or(Outcome::NoAnswer, |(status, body)| Outcome::Answer { status, body })
}

/// A server whose connections each say these answers, one for each request, and then close. It tells what it was asked.
async fn server(connections: Vec<Vec<&'static str>>) -> (Arc<Server>, tokio::task::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = tokio::spawn(async move {
        let mut asked = Vec::new();
        for answers in connections {
            let (mut socket, _) = listener.accept().await.unwrap();
            for answer in answers {
                let mut bytes = vec![0; 4_096];
                let n = socket.read(&mut bytes).await.unwrap();
                asked.push(String::from_utf8(bytes[..n].to_vec()).unwrap());
                socket.write_all(answer.as_bytes()).await.unwrap();
            }
        }
        asked
    });
    (Arc::new(Server::find(&url).await.unwrap()), asked)
}

fn answer(status: u16, body: &str) -> Outcome {
    Outcome::Answer { status, body: body.as_bytes().to_vec() }
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";

#[tokio::test]
async fn requests_follow_each_other_on_one_connection() {
    let chunked =
        "HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{\"a\r\n3\r\n\":1\r\n1\r\n}\r\n0\r\n\r\n";
    let (server, asked) = server(vec![vec![OK, chunked, OK]]).await;
    let line = Line::new(server, None);
    assert_eq!(line.send(configure()).await, answer(200, "{}"));
    assert_eq!(asks(&line, "GET /2").await, answer(503, "{\"a\":1}"));
    assert_eq!(asks(&line, "GET /3").await, answer(200, "{}"));
    let asked = asked.await.unwrap();
    assert_eq!(asked[1..], ["GET /2", "GET /3"]);
    let (head, body) = asked[0].split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /api/device/IMEI:") && head.contains("/configure HTTP/1.1\r\nhost: 127.0.0.1:"));
    assert!(head.contains(&format!("content-length: {}", body.len())) && body.starts_with('{') && body.ends_with('}'));
}

#[test]
fn a_token_and_packing_are_said_in_the_head() {
    let mut request = configure();
    assert!(!String::from_utf8(written("h", &request).unwrap()).unwrap().contains("authorization"));
    (request.token, request.compress) = (Some("t".into()), true);
    let bytes = written("h", &request).unwrap();
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    let head = std::str::from_utf8(&bytes[..end]).unwrap();
    assert!(head.contains("authorization: Bearer t\r\n") && head.contains("content-encoding: gzip\r\n"));
    assert_eq!(&bytes[end + 4..], gzip(&request.body).unwrap());
}

#[tokio::test]
async fn a_connection_that_the_server_closed_is_made_anew() {
    let closing = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}";
    let (server, asked) = server(vec![vec![OK], vec![closing], vec![OK]]).await;
    let line = Line::new(server, Some(IpAddr::from([127, 0, 0, 2])));
    for _ in 0..3 {
        assert_eq!(asks(&line, "GET /").await, answer(200, "{}"));
    }
    assert_eq!(asked.await.unwrap().len(), 3);
}

#[tokio::test]
async fn half_an_answer_and_nobody_there_are_no_answer() {
    let (server, asked) = server(vec![vec!["HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}"], vec![OK]]).await;
    let line = Line::new(server, None);
    assert_eq!(line.send(configure()).await, Outcome::NoAnswer);
    assert_eq!(line.send(configure()).await, answer(200, "{}"), "the next one is fine again");
    asked.await.unwrap();
    assert_eq!(line.send(configure()).await, Outcome::NoAnswer);
}

#[tokio::test]
async fn two_at_a_time_wait_for_each_other() {
    let (server, asked) = server(vec![vec![OK, OK]]).await;
    let line = Line::new(server, None);
    let both = tokio::join!(asks(&line, "GET /1"), asks(&line, "GET /2"));
    assert_eq!(both, (answer(200, "{}"), answer(200, "{}")));
    assert_eq!(asked.await.unwrap(), ["GET /1", "GET /2"]);
}

#[test]
fn answers_are_read_only_when_they_are_whole() {
    for whole in [OK, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"] {
        for end in 0..whole.len() {
            assert!(parse(&whole.as_bytes()[..end], false).unwrap().is_none(), "{:?}", &whole[..end]);
        }
        let whole = parse(whole.as_bytes(), false).unwrap().unwrap();
        assert_eq!(whole, ((200, b"{}".to_vec()), true));
    }
    assert!(!parse(format!("{OK}HTTP/1.1 200").as_bytes(), false).unwrap().unwrap().1, "an answer nobody asked for");
    assert!(parse(b"SSH-2.0-x\r\n\r\n", false).is_err());
}

#[tokio::test]
async fn only_a_server_s_root_is_a_server() {
    for bad in ["127.0.0.1:8000", "https://127.0.0.1", "http://127.0.0.1/api", "http://", ""] {
        assert!(Server::find(bad).await.is_err(), "{bad}");
    }
    assert_eq!(Server::find("http://[::1]:8000/").await.unwrap().address, "[::1]:8000".parse().unwrap());
}
