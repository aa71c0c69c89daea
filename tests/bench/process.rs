//! The servers under load, and what the kernel knows of them.
use crate::load::KEY;
use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::LazyLock,
    time::{Duration, Instant},
};

/// A process that ends with this value.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    folder: Option<std::path::PathBuf>,
}

/// How many of `/proc`'s ticks make a second.
static TICKS: LazyLock<f64> = LazyLock::new(|| {
    let told = Command::new("getconf")
        .arg("CLK_TCK")
        .output()
        .unwrap()
        .stdout;
    String::from_utf8(told).unwrap().trim().parse().unwrap()
});

impl Server {
    /// This program again, in another part.
    pub(crate) fn own(arguments: &[&str]) -> Self {
        let program = std::env::current_exe().unwrap();
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line
            .trim()
            .parse()
            .expect("a server of this benchmark did not start");
        Self {
            child,
            address,
            folder: None,
        }
    }

    /// The gateway, with authentication and everything else that sees each call, but no cascade, and a cache only if that is to be measured:
    /// these would save the call.
    pub(crate) fn tierway(binary: &Path, upstream: SocketAddr, cache: bool) -> Self {
        let [address, admin] = [free(), free()];
        let folder = std::env::temp_dir().join(format!(
            "tierway-bench-{}-{}",
            std::process::id(),
            address.port()
        ));
        fs::create_dir_all(&folder).unwrap();
        let config = folder.join("tierway.toml");
        let tiers = ["simple", "medium", "complex", "reasoning"]
            .map(|tier| format!("{tier} = \"o:bench\"\n"))
            .concat();
        fs::write(
            &config,
            format!(
                "[providers.o]\nkind = \"openai-compatible\"\nbase_url = \"http://{upstream}/v1\"\napi_key = \"k\"\n[tiers]\n{tiers}\
                 [[keys]]\nkey = \"{KEY}\"\ntenant = \"bench\"\n[cache]\nenabled = {cache}\nttl = \"1h\"\n[cascade]\nenabled = false\n"
            ),
        )
        .unwrap();
        let log = fs::File::create(folder.join("log")).unwrap();
        let mut child = Command::new(binary)
            .arg("serve")
            .arg("--config")
            .arg(&config)
            .args([
                "--listen",
                &address.to_string(),
                "--admin",
                &admin.to_string(),
            ])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let end = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(address).is_err() {
            let ended = child.try_wait().unwrap();
            if ended.is_some() || Instant::now() > end {
                panic!(
                    "tierway does not listen: {}",
                    fs::read_to_string(folder.join("log")).unwrap()
                );
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Self {
            child,
            address,
            folder: Some(folder),
        }
    }

    /// User and system time of all threads so far.
    pub(crate) fn processor_time(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // the name of the command, in parentheses, may hold spaces
        let fields: Vec<&str> = stat
            .rsplit_once(')')
            .unwrap()
            .1
            .split_whitespace()
            .collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        Duration::from_secs_f64(ticks as f64 / *TICKS)
    }

    /// The most memory that was ever resident, in bytes.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(folder) = &self.folder {
            let _ = fs::remove_dir_all(folder);
        }
    }
}

/// A port that was free a moment ago.
fn free() -> SocketAddr {
    TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap()
}
