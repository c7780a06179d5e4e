//! A small HTTP server that the tests and the demo run as a container service. Nearly only std, so that it builds in a
//! second and its image holds one static file. SIGTERM ends it with 0, as a good PID 1 does.
//!
//! | argument | effect |
//! |---|---|
//! | `--port N` | listens there (default 80) |
//! | `--name TEXT` | what `GET /` answers with, beside the container's host name |
//! | `--exit-after N` | ends with `--code` after N seconds; 0 ends before it listens |
//! | `--code N` | the code to end with (default 1) |
//! | `--unhealthy` | `GET /health` answers 503 |
//!
//! `GET /health` is the health check, `GET /env/NAME` shows a variable, `POST /exit` ends the process at once, and
//! everything else says who answers.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(message) => {
            let _ = writeln!(std::io::stderr(), "whoami: {message}");
            return ExitCode::from(2);
        }
    };
    let code = ExitCode::from(options.code);
    if options.exit_after == Some(0) {
        let _ = writeln!(std::io::stderr(), "whoami: told to end at once");
        return code;
    }
    let listener = match TcpListener::bind(("0.0.0.0", options.port)) {
        Ok(listener) => listener,
        Err(error) => {
            let _ = writeln!(
                std::io::stderr(),
                "whoami: listen on port {}: {error}",
                options.port
            );
            return ExitCode::FAILURE;
        }
    };
    let _ = writeln!(
        std::io::stdout(),
        "whoami: listening on port {}",
        options.port
    );
    let (end, ended) = mpsc::channel();
    let exit_after = options.exit_after;
    stop_on_sigterm(end.clone());
    thread::spawn(move || serve(&listener, &options, &end));
    // The server's thread keeps its sender for ever, so a wait ends by a request, a signal or the deadline.
    let why = match exit_after {
        Some(seconds) => ended.recv_timeout(Duration::from_secs(seconds)).ok(),
        None => ended.recv().ok(),
    };
    let _ = writeln!(std::io::stderr(), "whoami: told to end");
    if why == Some(End::Signal) {
        ExitCode::SUCCESS
    } else {
        code
    }
}

/// Why it ends.
#[derive(PartialEq, Eq)]
enum End {
    Request,
    Signal,
}

fn stop_on_sigterm(end: mpsc::Sender<End>) {
    if let Ok(mut signals) = signal_hook::iterator::Signals::new([signal_hook::consts::SIGTERM]) {
        thread::spawn(move || {
            if signals.forever().next().is_some() {
                let _ = end.send(End::Signal);
            }
        });
    }
}

/// What the arguments ask for.
struct Options {
    port: u16,
    name: String,
    exit_after: Option<u64>,
    code: u8,
    unhealthy: bool,
}

// === impl Options ===

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            port: 80,
            name: "whoami".into(),
            exit_after: None,
            code: 1,
            unhealthy: false,
        };
        while let Some(argument) = arguments.next() {
            let mut value = || {
                arguments
                    .next()
                    .ok_or_else(|| format!("{argument} needs a value"))
            };
            match argument.as_str() {
                "--port" => options.port = number(&value()?)?,
                "--name" => options.name = value()?,
                "--exit-after" => options.exit_after = Some(number(&value()?)?),
                "--code" => options.code = number(&value()?)?,
                "--unhealthy" => options.unhealthy = true,
                other => return Err(format!("unknown argument {other}")),
            }
        }
        Ok(options)
    }
}

fn number<N: std::str::FromStr>(text: &str) -> Result<N, String> {
    text.parse()
        .map_err(|_| format!("{text} is not a number in range"))
}

/// Answers one connection after the other; each is one short request.
fn serve(listener: &TcpListener, options: &Options, end: &mpsc::Sender<End>) {
    for stream in listener.incoming().flatten() {
        let _ = answer(stream, options, end);
    }
}

fn answer(stream: TcpStream, options: &Options, end: &mpsc::Sender<End>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut header = String::new();
    while reader.read_line(&mut header)? > 2 {
        header.clear();
    }
    let mut words = first.split_whitespace();
    let (method, path) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let (status, body) = match (method, path) {
        (_, "/health") if options.unhealthy => ("503 Service Unavailable", "unhealthy\n".into()),
        (_, "/health") => ("200 OK", "ok\n".into()),
        ("POST", "/exit") => ("200 OK", "ending\n".into()),
        (_, path) if path.starts_with("/env/") => match std::env::var(&path["/env/".len()..]) {
            Ok(value) => ("200 OK", format!("{value}\n")),
            Err(_) => ("404 Not Found", "not set\n".into()),
        },
        _ => (
            "200 OK",
            format!("name: {}\nhostname: {}\n", options.name, hostname()),
        ),
    };
    let mut stream = reader.into_inner();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )?;
    if (method, path) == ("POST", "/exit") {
        let _ = end.send(End::Request);
    }
    Ok(())
}

fn hostname() -> String {
    let mut name = String::new();
    if let Ok(file) = std::fs::File::open("/proc/sys/kernel/hostname") {
        let _ = BufReader::new(file).read_line(&mut name);
    }
    name.trim().to_owned()
}
