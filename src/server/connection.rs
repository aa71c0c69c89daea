//! One connection, from its first byte to its end.
//!
//! What is spoken on it is known before hyper is asked to read: by ALPN in TLS, by the first bytes of a plain socket, which are looked at and
//! left where they are. Would they be taken off first, as `hyper_util::server::conn::auto` does, the buffer that hyper reads the rest into
//! would be twice as large, for as long as the connection lasts. A connection on which nothing has been said yet has no buffer at all.
use super::{Answers, Limits, patient::Patient, reads::SmallReads, tls::Acceptor};
use bytes::Bytes;
use hyper::server::conn::{http1, http2};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use std::{
    future::poll_fn,
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Poll, Waker},
    time::Duration,
};
use tierway_services::BoxError;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite},
    net::TcpStream,
    sync::watch,
    time::timeout,
};

/// What hyper takes at least.
const MIN_HEAD: usize = 8 * 1024;
/// What every HTTP/2 client says first.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How the connections of a listener are served.
pub(super) struct Serving {
    limits: Limits,
    tls: Option<Arc<Acceptor>>,
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
}

/// Says that the server is to end; a connection holds it until its own end.
pub(super) type Stop = watch::Receiver<()>;

/// What a caller speaks, and what of it was read to find out.
enum Spoken {
    Http1(Bytes),
    Http2(Bytes),
}

impl Serving {
    pub(super) fn new(limits: Limits, tls: Option<Arc<Acceptor>>) -> Self {
        let mut http1 = http1::Builder::new();
        http1
            .timer(TokioTimer::new())
            .max_buf_size(limits.head.max(MIN_HEAD))
            .header_read_timeout(limits.head_timeout);
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .max_header_list_size(u32::try_from(limits.head).unwrap_or(u32::MAX))
            .keep_alive_interval(Some(Duration::from_secs(30)));
        Self {
            limits,
            tls,
            http1,
            http2,
        }
    }

    /// Serves this connection to its end.
    pub(super) async fn serve<S: Answers>(
        &self,
        mut stream: TcpStream,
        service: S,
        stop: &mut Stop,
    ) -> Result<(), BoxError> {
        if let Some(acceptor) = &self.tls {
            // On the heap, so that plain connections do not keep room for it.
            return Box::pin(self.secured(acceptor, stream, service, stop)).await;
        }
        match self.in_time(spoken(&mut stream), stop).await? {
            Some(spoken) => self.attend(stream, spoken, service, stop).await,
            None => Ok(()),
        }
    }

    /// In TLS; a slow handshake holds up nobody else.
    async fn secured<S: Answers>(
        &self,
        acceptor: &Acceptor,
        stream: TcpStream,
        service: S,
        stop: &mut Stop,
    ) -> Result<(), BoxError> {
        let agreed = async {
            let mut stream = acceptor.accept(stream).await?;
            let spoken = match stream.get_ref().1.alpn_protocol() {
                Some(b"h2") => Spoken::Http2(Bytes::new()),
                Some(_) => Spoken::Http1(Bytes::new()),
                None => told(&mut stream).await?,
            };
            Ok(Some((stream, spoken)))
        };
        match self.in_time(agreed, stop).await? {
            Some((stream, spoken)) => self.attend(stream, spoken, service, stop).await,
            None => Ok(()),
        }
    }

    /// What must be known before the first request can be read; `None` where the server ends before.
    async fn in_time<T>(
        &self,
        known: impl Future<Output = io::Result<Option<T>>>,
        stop: &mut Stop,
    ) -> io::Result<Option<T>> {
        tokio::select! {
            known = timeout(self.limits.head_timeout, known) => {
                known.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            }
            _ = stop.changed() => Ok(None),
        }
    }

    async fn attend<IO, S>(
        &self,
        io: IO,
        spoken: Spoken,
        service: S,
        stop: &mut Stop,
    ) -> Result<(), BoxError>
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        S: Answers,
    {
        let service = TowerToHyperService::new(service);
        match spoken {
            Spoken::Http1(read) => {
                let io = TokioIo::new(self.patient(io, read));
                let mut connection = pin!(self.http1.serve_connection(io, service));
                if let Some(ended) = unless(stop, connection.as_mut()).await {
                    return Ok(ended?);
                }
                connection.as_mut().graceful_shutdown();
                Ok(connection.await?)
            }
            // On the heap, for the sake of the others: it is larger, and has many calls.
            Spoken::Http2(read) => {
                let io = TokioIo::new(self.patient(io, read));
                let mut connection = Box::pin(self.http2.serve_connection(io, service));
                if let Some(ended) = unless(stop, connection.as_mut()).await {
                    return Ok(ended?);
                }
                connection.as_mut().graceful_shutdown();
                Ok(connection.await?)
            }
        }
    }

    /// On the heap, for its timer must stay where it is.
    fn patient<IO: AsyncRead + Unpin>(
        &self,
        io: IO,
        read: Bytes,
    ) -> Pin<Box<Patient<SmallReads<IO>>>> {
        let reads = SmallReads::new(read, io);
        Box::pin(Patient::new(reads, self.limits.write_timeout))
    }
}

/// What comes of `work`; `None` where the server is to end before.
///
/// Work is woken by each event, and the word to end comes once. So whoever will be woken by it does not ask for it again before it is there, for
/// that costs more than to look.
async fn unless<F: Future>(stop: &mut Stop, mut work: Pin<&mut F>) -> Option<F::Output> {
    let word = stop.clone();
    let mut told = pin!(stop.changed());
    let mut wakes: Option<Waker> = None;
    poll_fn(|cx| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(Some(done));
        }
        let heard = wakes.as_ref().is_some_and(|w| w.will_wake(cx.waker()));
        if heard && matches!(word.has_changed(), Ok(false)) {
            return Poll::Pending;
        }
        wakes = Some(cx.waker().clone());
        told.as_mut().poll(cx).map(|_| None)
    })
    .await
}

/// What the first bytes of a plain socket tell; `None` where the caller leaves without a word.
async fn spoken(stream: &mut TcpStream) -> io::Result<Option<Spoken>> {
    let mut first = [0; 3];
    Ok(match stream.peek(&mut first).await? {
        0 => None,
        3 if first != PREFACE[..3] => Some(Spoken::Http1(Bytes::new())),
        _ => Some(told(stream).await?),
    })
}

/// Reads on until it is clear.
async fn told(io: &mut (impl AsyncRead + Unpin)) -> io::Result<Spoken> {
    let (mut read, mut length) = ([0; PREFACE.len()], 0);
    while length < PREFACE.len() {
        let more = io.read(&mut read[length..]).await?;
        length += more;
        if more == 0 || read[..length] != PREFACE[..length] {
            return Ok(Spoken::Http1(Bytes::copy_from_slice(&read[..length])));
        }
    }
    Ok(Spoken::Http2(Bytes::from_static(PREFACE)))
}

#[cfg(test)]
mod tests {
    use crate::server::{Limits, serve};
    use bytes::Bytes;
    use http::{Request, Response};
    use http_body_util::{BodyExt as _, Empty, Full};
    use hyper::{body::Incoming, client::conn::http2};
    use hyper_util::rt::{TokioExecutor, TokioIo};
    use std::{convert::Infallible, io, net::SocketAddr, time::Duration};
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::{TcpListener, TcpStream},
        sync::oneshot,
        task::{JoinHandle, yield_now},
    };

    async fn version(req: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let version = format!("{:?}", req.version());
        Ok(Response::new(Full::new(version.into())))
    }

    /// A server that ends when what is returned is dropped.
    async fn start(
        limits: Limits,
    ) -> (
        SocketAddr,
        oneshot::Sender<()>,
        JoinHandle<io::Result<usize>>,
    ) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let service = tower::service_fn(version);
        let served = tokio::spawn(serve(listener, service, limits, async {
            stopped.await.unwrap_or_default();
        }));
        (address, stop, served)
    }

    /// Sends the pieces one after the other.
    async fn say(address: SocketAddr, pieces: &[&[u8]]) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        for piece in pieces {
            stream.write_all(piece).await.unwrap();
            // Time for the server to see it alone; whether it does makes no difference to what is answered.
            for _ in 0..20 {
                yield_now().await;
            }
        }
        stream
    }

    #[tokio::test]
    async fn http1_is_told_by_its_first_bytes_however_they_come() {
        let (address, _stop, _) = start(Limits::default()).await;
        let whole = b"GET / HTTP/1.1\r\nhost: g\r\nconnection: close\r\n\r\n";
        let (one, rest) = whole.split_at(1);
        let blank: &[u8] = b"\r\n";
        for pieces in [vec![&whole[..]], vec![one, rest], vec![blank, &whole[..]]] {
            let mut answer = String::new();
            let mut stream = say(address, &pieces).await;
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            assert!(answer.ends_with("HTTP/1.1"), "{answer}");
        }
    }

    #[tokio::test]
    async fn http2_is_told_by_its_preface_however_it_comes() {
        let (address, _stop, _) = start(Limits::default()).await;
        let io = TokioIo::new(TcpStream::connect(address).await.unwrap());
        let (mut send, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(connection);
        let ask = Request::get("http://g/").body(Empty::<Bytes>::new());
        let answer = send.send_request(ask.unwrap()).await.unwrap();
        let said = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(&said[..], b"HTTP/2.0");

        // A frame of settings, of which there are none.
        let settings: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
        for cut in [1, 2, 3, 20] {
            let (one, rest) = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".split_at(cut);
            let mut stream = say(address, &[one, rest, settings]).await;
            let mut head = [0; 9];
            stream.read_exact(&mut head).await.unwrap();
            assert_eq!(head[3], 4, "{head:?}");
        }
    }

    #[tokio::test]
    async fn who_says_nothing_is_let_go() {
        let soon = Limits {
            head_timeout: Duration::from_millis(50),
            ..Limits::default()
        };
        let (address, _stop, _) = start(soon).await;
        let mut silent = say(address, &[]).await;
        assert_eq!(silent.read(&mut [0; 9]).await.unwrap(), 0);

        let patient = Limits {
            head_timeout: Duration::from_secs(60),
            drain: Duration::from_secs(60),
            ..Limits::default()
        };
        let (address, stop, served) = start(patient).await;
        let mut silent = say(address, &[b""]).await;
        drop(stop);
        assert_eq!(served.await.unwrap().unwrap(), 0);
        assert!(matches!(silent.read(&mut [0; 9]).await, Ok(0) | Err(_)));
    }
}
