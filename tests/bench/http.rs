//! As much of HTTP/1.1 as load and mock need, on blocking sockets: a library in their place would be measured along with what is measured.
use std::{
    io::{self, Read as _},
    net::TcpStream,
};

/// A connection, with what has been read of it and not been used.
pub(crate) struct Wire {
    pub(crate) stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
}

/// How a body ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    Exact(usize),
    Chunked,
}

/// The head of a message, in small letters, and how its body ends.
pub(crate) struct Head {
    pub(crate) line: String,
    pub(crate) fields: String,
    pub(crate) length: Length,
}

/// What ends a chunked body.
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            buffer: vec![0; 256 * 1024],
            filled: 0,
        }
    }

    fn read(&mut self) -> io::Result<usize> {
        if self.filled == self.buffer.len() {
            self.buffer.resize(self.filled * 2, 0);
        }
        let n = self.stream.read(&mut self.buffer[self.filled..])?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.filled += n;
        Ok(n)
    }

    fn skip(&mut self, n: usize) {
        self.buffer.copy_within(n..self.filled, 0);
        self.filled -= n;
    }

    pub(crate) fn head(&mut self) -> io::Result<Head> {
        loop {
            let all = &self.buffer[..self.filled];
            if let Some(end) = memchr::memmem::find(all, b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&all[..end]).to_ascii_lowercase();
                let length = head
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length:"));
                let (line, fields) = head.split_once("\r\n").unwrap_or((&head, ""));
                let head = Head {
                    line: line.to_owned(),
                    fields: fields.to_owned(),
                    length: match length {
                        Some(length) => Length::Exact(length.trim().parse().unwrap()),
                        None if head.contains("transfer-encoding: chunked") => Length::Chunked,
                        None => Length::Exact(0),
                    },
                };
                self.skip(end + 4);
                return Ok(head);
            }
            self.read()?;
        }
    }

    /// Reads a body and calls `begun` at its first byte. Gives the body where it is short, else its beginning and its end.
    pub(crate) fn body(&mut self, length: Length, mut begun: impl FnMut()) -> io::Result<Vec<u8>> {
        const EDGE: usize = 2048;
        let mut edges = Vec::new();
        let (mut seen, mut tail) = (0, Vec::new());
        loop {
            if self.filled > 0 && seen == 0 {
                begun();
            }
            let room = match length {
                Length::Exact(all) => all - seen,
                Length::Chunked => usize::MAX,
            };
            let some = self.filled.min(room);
            let data = &self.buffer[..some];
            let wanted = EDGE.saturating_sub(edges.len()).min(some);
            edges.extend_from_slice(&data[..wanted]);
            tail.extend_from_slice(&data[some.saturating_sub(EDGE).max(wanted)..]);
            tail.drain(..tail.len().saturating_sub(EDGE));
            seen += some;
            self.skip(some);
            let over = match length {
                Length::Exact(all) => seen == all,
                Length::Chunked if tail.is_empty() => edges.ends_with(LAST_CHUNK),
                Length::Chunked => {
                    tail.ends_with(LAST_CHUNK)
                        || tail.len() < LAST_CHUNK.len()
                            && [&edges[..], &tail[..]].concat().ends_with(LAST_CHUNK)
                }
            };
            if over {
                edges.extend_from_slice(&tail);
                return Ok(edges);
            }
            self.read()?;
        }
    }
}
