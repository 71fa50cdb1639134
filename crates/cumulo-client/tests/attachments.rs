//! Files of records, against a server that behaves in all the ways that servers do.
#![expect(clippy::unwrap_used, reason = "a test fails where it can't go on")]

mod web;

use std::io::Cursor;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use cumulo_client::attachment::{Attachment, File, Source};
use cumulo_client::{Async, Basic, Client, Error, Permissions, Plan, Retry, Timestamp, blocking};
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use web::{Reply, Request, Web};

const RECORD: &str = "/records/r";
const CONTENT: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";
const RETRY: Retry = Retry { times: 3, forced: Some(Duration::ZERO), ..NEVER };
const NEVER: Retry =
    Retry { times: 0, first: Duration::ZERO, longest: Duration::ZERO, forced: None };

fn hash(content: &[u8]) -> String {
    let digits: Vec<_> = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
    digits.concat()
}

fn described(location: &str) -> Value {
    json!({
        "filename": "report.txt",
        "location": location,
        "hash": hash(CONTENT),
        "mimetype": "text/plain",
        "size": CONTENT.len(),
    })
}

/// A server whose record has `attachment`, with `file` answering for everything else.
fn server(
    base_url: &'static str,
    attachment: Value,
    file: impl Fn(&Request) -> Reply + Send + Sync + 'static,
) -> Web {
    Web::start(move |request| match request.target.as_str() {
        "/v1/" => Reply::json(&json!({"capabilities": {"attachments": {"base_url": base_url}}})),
        target if target.ends_with(RECORD) => {
            Reply::json(&json!({"data": {"id": "r", "last_modified": 7, "attachment": attachment}}))
        }
        _ => file(request),
    })
}

/// The file, or the part of it that is asked for.
fn whole(request: &Request) -> Reply {
    let range = request.header("range").map(|it| it.strip_prefix("bytes=").unwrap());
    let Some(from) = range.map(|it| it.trim_end_matches('-').parse::<usize>().unwrap()) else {
        return Reply::new(200, CONTENT);
    };
    let range = format!("bytes {from}-{}/{}", CONTENT.len() - 1, CONTENT.len());
    Reply::new(206, &CONTENT[from..]).header("Content-Range", &range)
}

fn client(web: &Web, retry: Retry) -> Client {
    let builder = Client::builder(&format!("{}/v1", web.origin())).retry(retry);
    builder.auth(Basic::new("ann", "secret")).header("X-Own", "1").build().unwrap()
}

fn attachment(web: &Web, retry: Retry) -> Attachment<Async> {
    client(web, retry).collection("b", "c").record("r").attachment()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A server that stores what is uploaded as it should.
fn store() -> Web {
    Web::start(|request| {
        let text = request.text();
        let content = text.rsplit_once("\r\n--").unwrap().0;
        let (_, content) = content.rsplit_once("\r\n\r\n").unwrap();
        let file = json!({
            "filename": "f", "location": "l", "mimetype": "m",
            "hash": hash(content.as_bytes()), "size": content.len(),
        });
        Reply::new(201, file.to_string()).header("ETag", "\"8\"")
    })
}

#[tokio::test]
async fn a_file_is_uploaded_with_the_record() {
    let web = store();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("é \"x\".json");
    std::fs::write(&path, "{}").unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let progress = Arc::clone(&told);
    let uploaded = attachment(&web, NEVER)
        .upload(path)
        .data(json!({"title": "Report"}))
        .permissions(Permissions::new().grant("read", "system.Everyone"))
        .if_match(Timestamp(7))
        .on_progress(move |sent, total| progress.lock().unwrap().push((sent, total)))
        .send()
        .await
        .unwrap();
    assert_eq!((uploaded.created, uploaded.last_modified), (true, Timestamp(8)));
    assert_eq!(uploaded.file.size, 2);
    assert_eq!(*told.lock().unwrap(), [(0, Some(2)), (2, Some(2))]);

    let request = web.requests().remove(0);
    let path = "/v1/buckets/b/collections/c/records/r/attachment";
    assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", path));
    assert_eq!(request.header("if-match"), Some("\"7\""));
    assert_eq!(request.header("x-own"), Some("1"));
    let length = request.body.len().to_string();
    assert_eq!(request.header("content-length"), Some(length.as_str()));
    let (_, boundary) = request.header("content-type").unwrap().split_once("boundary=").unwrap();
    let expected = [
        "--B\r\nContent-Disposition: form-data; name=\"data\"\r\n\r\n{\"title\":\"Report\"}\r\n",
        "--B\r\nContent-Disposition: form-data; name=\"permissions\"\r\n\r\n",
        "{\"read\":[\"system.Everyone\"]}\r\n",
        "--B\r\nContent-Disposition: form-data; name=\"attachment\"; ",
        "filename=\"é %22x%22.json\"\r\nContent-Type: application/json\r\n\r\n{}\r\n--B--\r\n",
    ];
    assert_eq!(request.text().replace(boundary, "B"), expected.concat());
}

#[tokio::test]
async fn readers_and_streams_are_uploaded_without_a_length() {
    let web = store();
    let attachment = attachment(&web, NEVER);
    let reader = || Source::reader(Cursor::new(CONTENT));
    attachment.upload(reader()).file_name("a.bin").send().await.unwrap();
    attachment.upload(reader().length(36)).file_name("a.png").send().await.unwrap();
    let chunks = CONTENT.chunks(7).map(|chunk| Ok(Bytes::from_static(chunk)));
    let stream = Source::stream(stream::iter(chunks.collect::<Vec<_>>()));
    attachment.upload(stream).file_name("a").media_type("text/x-own").send().await.unwrap();
    let requests = web.requests();
    let sized: Vec<_> = requests.iter().map(|it| it.header("content-length").is_some()).collect();
    assert_eq!(sized, [false, true, false]);
    for (request, media_type) in
        requests.iter().zip(["application/octet-stream", "image/png", "text/x-own"])
    {
        assert!(request.text().contains(&format!("\r\nContent-Type: {media_type}\r\n\r\n0123")));
    }
}

#[tokio::test]
async fn an_upload_is_repeated_only_if_its_source_can_be_read_again() {
    let busy = || Web::start(|_| Reply::new(503, "{}").header("Retry-After", "0"));
    let web = busy();
    let upload = attachment(&web, RETRY).upload(CONTENT.to_vec()).file_name("a");
    assert!(matches!(upload.send().await, Err(Error::Throttled(_))));
    assert_eq!(web.requests().len(), 4);
    assert!(web.requests().iter().all(|it| it.text().contains("0123456789")));

    let web = busy();
    let upload = attachment(&web, RETRY).upload(Source::reader(CONTENT)).file_name("a");
    assert!(matches!(upload.send().await, Err(Error::Throttled(_))));
    assert_eq!(web.requests().len(), 1);

    // What the server may have done is not done twice, whatever the source.
    let web = Web::start(|_| Reply::new(500, "{}"));
    let upload = attachment(&web, RETRY).upload(CONTENT.to_vec()).file_name("a");
    assert!(matches!(upload.if_match(Timestamp(1)).send().await, Err(Error::Server(_))));
    assert_eq!(web.requests().len(), 1);
}

#[tokio::test]
async fn an_upload_may_take_longer_than_a_server_may_be_silent() {
    let silent = Duration::from_millis(200);
    let slow = || {
        let chunks = stream::iter(CONTENT.chunks(6)).then(|chunk| async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            Ok(Bytes::from_static(chunk))
        });
        Source::stream(chunks)
    };
    let upload = |web: &Web, source| {
        let client = client(web, NEVER).to_builder().read_timeout(silent).build().unwrap();
        client.collection("b", "c").record("r").attachment().upload(source).file_name("a").send()
    };
    upload(&store(), slow()).await.unwrap();
    // One that waits for its source longer than that, too.
    let late = stream::once(async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        Ok(Bytes::from_static(CONTENT))
    });
    upload(&store(), Source::stream(late)).await.unwrap();

    let web = Web::start(|_| {
        std::thread::sleep(Duration::from_secs(5));
        Reply::new(500, "")
    });
    let error = upload(&web, slow()).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    // One that does not even read.
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let client = Client::builder(&format!("http://{}/v1", deaf.local_addr().unwrap()));
    let client = client.read_timeout(silent).retry(NEVER).build().unwrap();
    let attachment = client.collection("b", "c").record("r").attachment();
    let endless = Source::stream(stream::repeat_with(|| Ok(Bytes::from(vec![0; 1 << 20]))));
    let error = attachment.upload(endless).file_name("a").send().await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
}

#[tokio::test]
async fn an_upload_that_makes_no_sense_is_not_sent() {
    let web = store();
    let attachment = attachment(&web, NEVER);
    for (upload, problem) in [
        (attachment.upload(vec![1]), "an attachment needs the name of a file"),
        (attachment.upload(vec![1]).file_name("a").data(7), "the data must be a JSON object"),
        (attachment.upload(vec![1]).file_name("a").media_type("a\n"), "is not a media type"),
        (
            client(&web, NEVER).collection("b", "c").attachment().upload(vec![1]).file_name("a"),
            "only records have attachments",
        ),
    ] {
        let error = upload.send().await.unwrap_err();
        assert!(matches!(&error, Error::Argument(text) if text.contains(problem)), "{error}");
    }
    let error = attachment.upload(Path::new("/no/such/file")).send().await.unwrap_err();
    assert!(matches!(&error, Error::File { path, .. } if path == "/no/such/file"), "{error}");
    assert_eq!(web.requests().len(), 0);
}

#[tokio::test]
async fn an_upload_that_arrives_as_something_else_is_an_error() {
    let answer = described("l");
    let web = Web::start(move |_| Reply::json(&answer));
    let attachment = attachment(&web, NEVER);
    assert!(attachment.upload(CONTENT.to_vec()).file_name("a").send().await.is_ok());
    let error = attachment.upload(b"other".to_vec()).file_name("a").send().await.unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");

    // One that compresses files tells of the original, too.
    let mut answer = described("l");
    answer["original"] = json!({"hash": hash(b"other")});
    let web = Web::start(move |_| Reply::json(&answer));
    let upload = self::attachment(&web, NEVER).upload(b"other".to_vec()).file_name("a");
    upload.send().await.unwrap();
}

#[tokio::test]
async fn an_attachment_is_deleted() {
    let web = Web::start(|_| Reply::new(204, "").header("ETag", "\"9\""));
    let delete = attachment(&web, NEVER).delete().if_match(Timestamp(8));
    assert_eq!(delete.send().await.unwrap(), Timestamp(9));
    let request = web.requests().remove(0);
    assert_eq!((request.method.as_str(), request.header("if-match")), ("DELETE", Some("\"8\"")));
    assert!(request.target.ends_with("/records/r/attachment"));
}

#[tokio::test]
async fn a_download_goes_to_a_file_or_a_folder_or_a_writer_or_memory() {
    let web = server("/files/", described("a/b.bin"), whole);
    let attachment = attachment(&web, NEVER);
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("in/side");
    let given = attachment.download().to_path(inside.join("x")).await.unwrap();
    assert_eq!(given, inside.join("x"));
    let given = attachment.download().save_metadata().to_path(&inside).await.unwrap();
    assert_eq!(given, inside.join("report.txt"));
    let given = attachment.download().to_path(format!("{}/new/", inside.display())).await.unwrap();
    assert_eq!(given, inside.join("new/report.txt"));
    assert_eq!(names(&inside), ["new", "report.txt", "report.txt.meta.json", "x"]);
    assert_eq!(std::fs::read(inside.join("x")).unwrap(), CONTENT);
    let metadata = std::fs::read(inside.join("report.txt.meta.json")).unwrap();
    let metadata: Value = serde_json::from_slice(&metadata).unwrap();
    assert_eq!(metadata["attachment"], described("a/b.bin"));
    assert_eq!(metadata["last_modified"], 7);

    assert_eq!(attachment.download().to_bytes().await.unwrap(), CONTENT);
    let writer = attachment.download().to_writer(Cursor::new(Vec::new())).await.unwrap();
    assert_eq!(writer.into_inner(), CONTENT);
    assert_eq!(web.requests_for("/files/a/b.bin").len(), 5);
    // The address is asked for once.
    assert_eq!(web.requests_for("/v1/").len(), 1);
}

#[tokio::test]
async fn a_file_that_is_the_same_stays() {
    let web = server("/", described("b.bin"), whole);
    let attachment = attachment(&web, NEVER);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    let downloads = || web.requests_for("/b.bin").len();
    std::fs::write(&path, CONTENT).unwrap();
    attachment.download().to_path(&path).await.unwrap();
    assert_eq!(downloads(), 0);
    attachment.download().overwrite().to_path(&path).await.unwrap();
    assert_eq!(downloads(), 1);
    // The same size is not enough.
    std::fs::write(&path, vec![b'x'; CONTENT.len()]).unwrap();
    attachment.download().to_path(&path).await.unwrap();
    assert_eq!((downloads(), std::fs::read(&path).unwrap()), (2, CONTENT.to_vec()));
    // A record that was read before is not read again.
    let client = client(&web, NEVER);
    let record = client.collection("b", "c").records().get("r").send().await.unwrap();
    let before = web.requests_for(RECORD).len();
    attachment.download().record(&record).to_path(&path).await.unwrap();
    assert_eq!(web.requests_for(RECORD).len(), before);
}

#[tokio::test]
async fn credentials_go_to_the_server_only() {
    let elsewhere = Web::start(whole);
    let location = format!("{}/b.bin", elsewhere.origin());
    let web = server("", described(&location), whole);
    let download = attachment(&web, NEVER).download().header("X-Store", "2");
    assert_eq!(download.to_bytes().await.unwrap(), CONTENT);
    let request = elsewhere.requests().remove(0);
    assert_eq!((request.header("authorization"), request.header("x-own")), (None, None));
    assert_eq!(request.header("x-store"), Some("2"));

    let web = server("files", described("b.bin"), whole);
    attachment(&web, NEVER).download().to_bytes().await.unwrap();
    let request = web.requests_for("/v1/files/b.bin").remove(0);
    let basic = base64::prelude::BASE64_STANDARD.encode("ann:secret");
    assert_eq!(request.header("authorization"), Some(format!("Basic {basic}").as_str()));
    assert_eq!(request.header("x-own"), Some("1"));

    // Nor do they follow where the server sends its clients.
    let web = server("files", described("b.bin"), move |_| {
        Reply::new(302, "").header("Location", &location)
    });
    assert_eq!(attachment(&web, NEVER).download().to_bytes().await.unwrap(), CONTENT);
    let request = elsewhere.requests().remove(1);
    assert_eq!((request.header("authorization"), request.header("x-own")), (None, None));
}

#[tokio::test]
async fn redirections_end() {
    let web = server("/", described("b.bin"), |_| Reply::new(302, "").header("Location", "/c"));
    let error = attachment(&web, RETRY).download().to_bytes().await.unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
}

#[tokio::test]
async fn a_broken_connection_is_mended() {
    // Breaks after every seven bytes, which is more often than requests are repeated.
    let web = server("/", described("b.bin"), |request| whole(request).cut(7));
    let told = Arc::new(Mutex::new(Vec::new()));
    let progress = Arc::clone(&told);
    let download = attachment(&web, Retry { times: 1, ..RETRY }).download();
    let download = download.on_progress(move |done, _| progress.lock().unwrap().push(done));
    assert_eq!(download.to_bytes().await.unwrap(), CONTENT);
    let ranges: Vec<_> =
        web.requests_for("/b.bin").iter().map(|it| it.header("range").map(str::to_owned)).collect();
    let bytes = |from: usize| Some(format!("bytes={from}-"));
    assert_eq!(ranges, [None, bytes(7), bytes(14), bytes(21), bytes(28), bytes(35)]);
    assert!(told.lock().unwrap().is_sorted());
    assert_eq!(told.lock().unwrap().last(), Some(&36));
}

#[tokio::test]
async fn a_server_without_ranges_is_read_from_the_beginning() {
    let count = AtomicUsize::new(0);
    let web = server("/", described("b.bin"), move |_| {
        let reply = Reply::new(200, CONTENT);
        if count.fetch_add(1, Ordering::SeqCst) < 2 { reply.cut(20) } else { reply }
    });
    let folder = tempfile::tempdir().unwrap();
    let path = attachment(&web, RETRY).download().to_path(folder.path()).await.unwrap();
    assert_eq!(std::fs::read(path).unwrap(), CONTENT);
}

#[tokio::test]
async fn a_download_goes_on_where_the_last_one_ended() {
    let count = AtomicUsize::new(0);
    let web = server("/", described("b.bin"), move |request| {
        let reply = whole(request);
        if count.fetch_add(1, Ordering::SeqCst) == 0 { reply.cut(20) } else { reply }
    });
    let attachment = attachment(&web, NEVER);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    std::fs::write(&path, "old").unwrap();
    assert!(attachment.download().to_path(&path).await.is_err());
    assert_eq!(std::fs::read(&path).unwrap(), b"old");
    let part = format!(".x.{}.part", &hash(CONTENT)[..16]);
    assert_eq!(names(folder.path()), [part.as_str(), "x"]);
    attachment.download().to_path(&path).await.unwrap();
    assert_eq!(web.requests_for("/b.bin")[1].header("range"), Some("bytes=20-"));
    assert_eq!(std::fs::read(&path).unwrap(), CONTENT);
    assert_eq!(names(folder.path()), ["x"]);
}

#[tokio::test]
async fn a_part_that_is_wrong_is_forgotten() {
    let web = server("/", described("b.bin"), whole);
    let folder = tempfile::tempdir().unwrap();
    let part = folder.path().join(format!(".x.{}.part", &hash(CONTENT)[..16]));
    for wrong in [&b"wrong"[..], &[b'x'; 36], &[b'x'; 100]] {
        std::fs::write(&part, wrong).unwrap();
        let download = attachment(&web, NEVER).download().overwrite();
        let path = download.to_path(folder.path().join("x")).await.unwrap();
        assert_eq!(std::fs::read(path).unwrap(), CONTENT);
        assert_eq!(names(folder.path()), ["x"]);
    }
}

#[tokio::test]
async fn two_downloads_of_one_file_do_not_meet() {
    let web = server("/", described("b.bin"), whole);
    let attachment = attachment(&web, NEVER);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    let downloads = (0..8).map(|_| attachment.download().overwrite().to_path(&path));
    for result in futures_util::future::join_all(downloads).await {
        result.unwrap();
    }
    assert_eq!(std::fs::read(&path).unwrap(), CONTENT);
    assert_eq!(names(folder.path()), ["x"]);
}

#[tokio::test]
async fn a_file_that_is_not_as_described_is_an_error() {
    let replies: [&[u8]; 3] = [b"0123456789abcdefghijklmnopqrstuvwxy!", b"too short", &[b'x'; 99]];
    for reply in replies {
        let web = server("/", described("b.bin"), move |request| {
            let from = request.header("range").map_or(0, |_| reply.len());
            Reply::new(if from > 0 { 416 } else { 200 }, &reply[from..])
        });
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, "old").unwrap();
        let error = attachment(&web, RETRY).download().to_path(&path).await.unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. }), "{error}");
        assert_eq!(names(folder.path()), ["x"]);
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
    }
}

#[tokio::test]
async fn what_is_not_there_is_told() {
    let web = server("", Value::Null, whole);
    let error = attachment(&web, NEVER).download().to_bytes().await.unwrap_err();
    let path = "/buckets/b/collections/c/records/r";
    assert_eq!(error.to_string(), format!("{path} has no attachment"));

    let web = server("", described("b.bin"), whole);
    let error = attachment(&web, NEVER).download().to_bytes().await.unwrap_err();
    assert!(matches!(&error, Error::Missing(text) if text.contains("base_url")), "{error}");

    let web = Web::start(|request| match request.target.as_str() {
        "/v1/" => Reply::json(&json!({"capabilities": {}})),
        _ => Reply::json(&json!({"data": {"id": "r", "attachment": described("b.bin")}})),
    });
    let error = attachment(&web, NEVER).download().to_bytes().await.unwrap_err();
    assert!(matches!(&error, Error::Missing(text) if text.contains("capability")), "{error}");

    let web = server("/", described("b.bin"), |_| Reply::new(404, "<html>not here</html>"));
    let folder = tempfile::tempdir().unwrap();
    let error = attachment(&web, NEVER).download().to_path(folder.path()).await.unwrap_err();
    assert!(matches!(error, Error::NotFound(_)), "{error}");
    assert!(names(folder.path()).is_empty());
}

#[tokio::test]
async fn names_of_files_do_not_lead_out_of_the_folder() {
    let mut described = described("b.bin");
    described["filename"] = "../../evil.txt".into();
    let web = server("/", described, whole);
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("in");
    std::fs::create_dir(&inside).unwrap();
    let path = attachment(&web, NEVER).download().to_path(&inside).await.unwrap();
    assert_eq!(path, inside.join("evil.txt"));
}

#[tokio::test]
async fn a_file_that_is_too_large_for_memory_is_not_read() {
    let mut described = described("b.bin");
    described["size"] = 1_000_001.into();
    let web = server("/", described, whole);
    let client = client(&web, NEVER).to_builder().max_response_bytes(1_000_000).build().unwrap();
    let download = client.collection("b", "c").record("r").attachment().download();
    let error = download.to_bytes().await.unwrap_err();
    assert!(matches!(error, Error::AnswerTooLarge { limit: 1_000_000, .. }), "{error}");
    assert_eq!(web.requests_for("/b.bin").len(), 0);
}

#[tokio::test]
async fn dry_mode_sends_nothing() {
    let web = store();
    let plan = Plan::new();
    let dry = client(&web, NEVER).to_builder().dry(&plan).build().unwrap();
    let attachment = dry.collection("b", "c").record("r").attachment();
    let uploaded = attachment.upload(CONTENT.to_vec()).file_name("a").send().await.unwrap();
    assert_eq!(uploaded.file.filename, "a");
    attachment.delete().send().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    attachment.download().to_path(folder.path().join("x")).await.unwrap();
    let planned: Vec<_> = plan.requests().iter().map(|it| it.method.to_string()).collect();
    assert_eq!(planned, ["POST", "DELETE", "GET"]);
    assert!(web.requests().is_empty() && names(folder.path()).is_empty());
}

#[test]
fn blocking_clients_do_the_same() {
    let client = |web: &Web| blocking::Client::new(&format!("{}/v1", web.origin())).unwrap();
    let web = store();
    let attachment = client(&web).collection("b", "c").record("r").attachment();
    let source = Source::reader(blocking::Io(Cursor::new(CONTENT)));
    attachment.upload(source).file_name("a").send().unwrap();

    let web = server("/", described("b.bin"), whole);
    let attachment: blocking::Attachment =
        client(&web).collection("b", "c").record("r").attachment();
    let folder = tempfile::tempdir().unwrap();
    let path = attachment.download().to_path(folder.path()).unwrap();
    assert_eq!(std::fs::read(path).unwrap(), CONTENT);
    let writer = attachment.download().to_writer(blocking::Io(Vec::new())).unwrap();
    assert_eq!(writer.0, CONTENT);
}

#[test]
fn what_a_record_tells_can_be_a_field_of_ones_own_type() {
    let file: File = serde_json::from_value(described("a")).unwrap();
    assert_eq!(file.filename, "report.txt");
    assert_eq!(serde_json::to_value(file).unwrap(), described("a"));
}
