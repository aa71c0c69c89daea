//! How many instructions and allocations a call costs, on fixed inputs: figures that no other load on the machine changes, so that a test can
//! hold them against those that are committed.
//!
//! Gateway, upstream and caller are tasks on one thread, so that what happens, and in which order, is the same in every run. Instructions are
//! counted by valgrind over two runs of different length: what they differ by is what the calls cost that the longer one has more.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::panic,
    reason = "a program for people at a terminal"
)]
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::{
    alloc::System,
    collections::HashMap,
    fmt::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};
use tierway::{config, server, stack::Stack};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::yield_now,
};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What is asked, by its name in the baseline.
const CASES: [&str; 8] = [
    "chat 1 KB",
    "chat 16 KB",
    "chat 200 KB",
    "auto 16 KB",
    "stream of 200 events",
    "translated 16 KB",
    "translated stream of 200 events",
    "hit of 16 KB",
];
/// The two lengths of a run, after a few calls to warm up.
const RUNS: [u64; 2] = [5, 25];
/// How far a figure may be from its baseline before somebody has to look.
const TOLERANCE: f64 = 0.10;
const HELP: &str =
    "usage: cargo bench --profile dev --bench guard -- [--write] [--valgrind PROGRAM]
  compares with tests/bench/guard.tsv, or writes it";

const EVENT: &[u8] = b"ad\r\ndata: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"bench\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"capital \"},\"finish_reason\":null}]}\n\n\r\n";
const LAST: &[u8] = b"9b\r\ndata: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"bench\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n\r\ne\r\ndata: [DONE]\n\n\r\n0\r\n\r\n";

fn body(case: &str) -> String {
    let kilobytes = match case {
        "chat 1 KB" | "stream of 200 events" => 1,
        "chat 200 KB" => 200,
        _ => 16,
    };
    let model = if case.starts_with("auto") {
        "auto"
    } else {
        "o:bench"
    };
    let more = match case {
        _ if case.starts_with("translated") => r#""max_tokens":1000,"#,
        _ if case.starts_with("hit") => r#""temperature":0,"#,
        _ => "",
    };
    let stream = case.contains("stream");
    let mut body = format!(r#"{{"model":"{model}","stream":{stream},{more}"messages":["#);
    let turn = "The quick brown fox jumps over the lazy dog, \\\"again\\\". ".repeat(10);
    while body.len() + turn.len() < kilobytes << 10 {
        let _ = write!(
            body,
            r#"{{"role":"user","content":"{turn}"}},{{"role":"assistant","content":"{turn}"}},"#
        );
    }
    body + r#"{"role":"user","content":"And then?"}]}"#
}

/// Answers on one connection for ever.
async fn upstream(mut socket: TcpStream) -> std::io::Result<()> {
    let text = "Paris is the capital of France. ".repeat(20);
    let whole = format!(
        r#"{{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"bench","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":200,"completion_tokens":160,"total_tokens":360}}}}"#
    );
    let whole = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{whole}",
        whole.len()
    );
    let mut buffer = vec![0; 1 << 20];
    loop {
        let filled = message(&mut socket, &mut buffer).await?;
        let request = &buffer[..filled];
        if memchr::memmem::find(request, b"\"stream\":true").is_none() {
            socket.write_all(whole.as_bytes()).await?;
            continue;
        }
        let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        socket.write_all(head).await?;
        for _ in 1..200 {
            socket.write_all(EVENT).await?;
            // Whoever reads it has its turn.
            for _ in 0..4 {
                yield_now().await;
            }
        }
        socket.write_all(LAST).await?;
    }
}

/// Reads a message to its end.
async fn message(socket: &mut TcpStream, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    loop {
        let n = socket.read(&mut buffer[filled..]).await?;
        if n == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        filled += n;
        let all = &buffer[..filled];
        let Some(head) = memchr::memmem::find(all, b"\r\n\r\n") else {
            continue;
        };
        let length = memchr::memmem::find(&all[..head], b"content-length: ").map(|at| {
            let digits = all[at + 16..].iter().take_while(|b| b.is_ascii_digit());
            digits.fold(0, |n, digit| n * 10 + usize::from(digit - b'0'))
        });
        let over = match length {
            Some(length) => filled >= head + 4 + length,
            None => all.ends_with(b"\r\n0\r\n\r\n"),
        };
        if over {
            return Ok(filled);
        }
    }
}

/// Asks so many times, and tells what was allocated meanwhile.
async fn run(case: &str, calls: u64) -> stats_alloc::Stats {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            socket.set_nodelay(true).unwrap();
            tokio::spawn(upstream(socket));
        }
    });
    let address = gateway(at, case).await;
    let path = if case.starts_with("translated") {
        "/v1/messages"
    } else {
        "/v1/chat/completions"
    };
    let body = body(case);
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\nauthorization: Bearer bench-key\r\nanthropic-version: 2023-06-01\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.set_nodelay(true).unwrap();
    let mut buffer = vec![0; 1 << 20];
    let mut region = Region::new(ALLOCATOR);
    for call in 0..calls + 3 {
        if call == 3 {
            region.reset();
        }
        socket.write_all(request.as_bytes()).await.unwrap();
        let filled = message(&mut socket, &mut buffer).await.unwrap();
        let answer = String::from_utf8_lossy(&buffer[..filled]);
        assert!(buffer.starts_with(b"HTTP/1.1 200 "), "{case}: {answer}");
    }
    region.change()
}

async fn gateway(upstream: SocketAddr, case: &str) -> SocketAddr {
    let cache = case.starts_with("hit");
    let toml = format!(
        "[providers.o]\nkind = 'openai-compatible'\nbase_url = 'http://{upstream}/v1'\napi_key = 'k'\n[tiers]\nsimple = 'o:bench'\nmedium = 'o:bench'\ncomplex = 'o:bench'\nreasoning = 'o:bench'\n\
         [[keys]]\nkey = 'bench-key'\ntenant = 'bench'\n[cache]\nenabled = {cache}\n[cascade]\nenabled = false\n[ledger]\nenabled = false\n"
    );
    let environment = HashMap::<String, String>::new();
    let flags = config::Flags::default();
    let loaded = config::read("guard.toml".as_ref(), &toml, &flags, &environment);
    let config = loaded.unwrap_or_else(|e| panic!("{e}")).config;
    let stack = Stack::new(&config).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let limits = server::Limits::default();
    let forever = std::future::pending();
    tokio::spawn(server::serve(listener, stack.service(), limits, forever));
    address
}

fn here(case: &str, calls: u64) -> stats_alloc::Stats {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(run(case, calls))
}

/// What one call costs.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Cost {
    /// `None` where there is no valgrind.
    instructions: Option<f64>,
    allocations: f64,
    bytes: f64,
}

fn cost(case: &str, valgrind: Option<&Path>) -> Cost {
    let calls = RUNS[1];
    let stats = here(case, calls);
    let each = |n: usize| n as f64 / calls as f64;
    let instructions = valgrind.map(|valgrind| {
        let [few, many] = RUNS.map(|calls| instructions(valgrind, case, calls));
        (many - few) / (RUNS[1] - RUNS[0]) as f64
    });
    Cost {
        instructions,
        allocations: each(stats.allocations + stats.reallocations),
        bytes: each(stats.bytes_allocated),
    }
}

fn instructions(valgrind: &Path, case: &str, calls: u64) -> f64 {
    let told = Command::new(valgrind)
        .args([
            "--tool=cachegrind",
            "--cache-sim=no",
            "--cachegrind-out-file=/dev/null",
        ])
        .arg(std::env::current_exe().unwrap())
        .args(["run", case, &calls.to_string()])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&told.stderr).into_owned();
    let line = told.lines().find_map(|line| line.split_once("refs:"));
    let count = line
        .unwrap_or_else(|| panic!("valgrind counted nothing: {told}"))
        .1;
    count.trim().replace(',', "").parse().unwrap()
}

fn table() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/guard.tsv")
}

/// Whether every figure is what it was, within [`TOLERANCE`].
fn compare(costs: &[(&str, Cost)]) -> bool {
    let text = std::fs::read_to_string(table()).unwrap_or_default();
    let mut same = true;
    let mut judge = |case: &str, what: &str, seen: f64, told: Option<&str>| {
        let Some(told) = told.and_then(|told| told.parse::<f64>().ok()) else {
            println!("NEW     {case}: {seen:.0} {what}");
            return;
        };
        let ratio = seen / told.max(1.0);
        let word = match ratio {
            r if r > 1.0 + TOLERANCE => "DEARER",
            r if r < 1.0 - TOLERANCE => "CHEAPER",
            _ => "ok",
        };
        // What has become cheaper is written down too, lest it creep back unseen.
        same &= word == "ok";
        println!(
            "{word:<7} {case}: {seen:.0} {what}, {told:.0} before ({:+.1} %)",
            (ratio - 1.0) * 100.0
        );
    };
    for (case, cost) in costs {
        let line = text
            .lines()
            .find(|line| line.split('\t').next() == Some(case));
        let told: Vec<&str> = line.map_or_else(Vec::new, |line| line.split('\t').collect());
        if let Some(instructions) = cost.instructions {
            judge(case, "instructions", instructions, told.get(1).copied());
        }
        judge(case, "allocations", cost.allocations, told.get(2).copied());
        judge(case, "bytes allocated", cost.bytes, told.get(3).copied());
    }
    same
}

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (write, valgrind) = match words.as_slice() {
        ["run", case, calls] => {
            here(case, calls.parse().unwrap());
            return;
        }
        [] => (false, None),
        ["--write"] => (true, None),
        ["--valgrind", program] => (false, Some(PathBuf::from(program))),
        ["--write", "--valgrind", program] | ["--valgrind", program, "--write"] => {
            (true, Some(PathBuf::from(program)))
        }
        _ => panic!("{HELP}"),
    };
    if valgrind.is_none() {
        println!("LEFT OUT: instructions are not counted, for there is no valgrind");
    }
    let costs: Vec<(&str, Cost)> = CASES
        .into_iter()
        .map(|case| (case, cost(case, valgrind.as_deref())))
        .collect();
    if !write {
        if !compare(&costs) {
            println!(
                "not what tests/bench/guard.tsv says: where that is meant, write it anew (--write) and say why in the commit"
            );
            std::process::exit(1);
        }
        return;
    }
    let mut text = "case\tinstructions\tallocations\tbytes allocated\n".to_owned();
    for (case, cost) in costs {
        let instructions = cost.instructions.map_or("-".into(), |n| format!("{n:.0}"));
        let _ = writeln!(
            text,
            "{case}\t{instructions}\t{:.0}\t{:.0}",
            cost.allocations, cost.bytes
        );
    }
    std::fs::write(table(), &text).unwrap();
    println!("{text}");
}
