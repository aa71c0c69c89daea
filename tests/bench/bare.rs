//! The yardstick: the least that a reverse proxy in hyper does. Bodies are streamed through, connections pooled, nothing is read.
use crate::upstream::{listen, tell};
use hyper::{Request, Uri, body::Incoming, header, server::conn::http1, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use std::net::SocketAddr;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    runtime::Runtime,
};

type Upstream = Client<HttpConnector, Incoming>;

fn client() -> Upstream {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    Client::builder(TokioExecutor::new()).build(connector)
}

async fn serve_connection(socket: TcpStream, client: Upstream, upstream: SocketAddr) {
    let forward = service_fn(move |mut request: Request<Incoming>| {
        let path = request.uri().path_and_query().unwrap().as_str();
        *request.uri_mut() = Uri::try_from(format!("http://{upstream}{path}")).unwrap();
        request.headers_mut().remove(header::HOST);
        client.request(request)
    });
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(socket), forward)
        .await;
}

/// On what connections are served.
#[derive(Clone, Copy)]
pub(crate) enum Runtimes {
    /// On one runtime for all cores.
    Shared,
    /// On a runtime with a pool of connections for each core, to which connections are dealt out in turn.
    EachCore,
    /// The same, with a listener for each: the system deals out, by a hash of addresses (`SO_REUSEPORT`).
    EachListener,
}

/// Serves until killed; the address is the first line on standard output.
pub(crate) fn serve(upstream: SocketAddr, on: Runtimes) {
    let runtime = Runtime::new().unwrap();
    let cores = std::thread::available_parallelism().unwrap().get();
    let own = |_| {
        let one = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build();
        (one.unwrap(), client())
    };
    match on {
        Runtimes::Shared => runtime.block_on(async {
            let client = client();
            let listener = listen().await;
            loop {
                let socket = accept(&listener).await;
                tokio::spawn(serve_connection(socket, client.clone(), upstream));
            }
        }),
        Runtimes::EachCore => {
            let workers: Vec<(Runtime, Upstream)> = (0..cores).map(own).collect();
            runtime.block_on(async {
                let listener = listen().await;
                for (worker, client) in workers.iter().cycle() {
                    let socket = accept(&listener).await.into_std().unwrap();
                    let client = client.clone();
                    worker.spawn(async move {
                        let socket = TcpStream::from_std(socket).unwrap();
                        serve_connection(socket, client, upstream).await;
                    });
                }
            });
        }
        Runtimes::EachListener => {
            let mut address = SocketAddr::from(([127, 0, 0, 1], 0));
            let mut workers = Vec::new();
            for (worker, client) in (0..cores).map(own) {
                let listener = worker.block_on(async {
                    let socket = TcpSocket::new_v4().unwrap();
                    socket.set_reuseport(true).unwrap();
                    socket.bind(address).unwrap();
                    socket.listen(1024).unwrap()
                });
                address = listener.local_addr().unwrap();
                worker.spawn(async move {
                    loop {
                        let socket = accept(&listener).await;
                        tokio::spawn(serve_connection(socket, client.clone(), upstream));
                    }
                });
                workers.push(worker);
            }
            tell(address);
            runtime.block_on(std::future::pending::<()>());
        }
    }
}

async fn accept(listener: &TcpListener) -> TcpStream {
    let (socket, _) = listener.accept().await.unwrap();
    socket.set_nodelay(true).unwrap();
    socket
}
