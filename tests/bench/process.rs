//! The servers under load, and what the kernel knows of them.
use crate::load::KEY;
use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::LazyLock,
    time::{Duration, Instant},
};

/// A process that ends with this value, and those that it has started.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    folder: Option<PathBuf>,
}

/// How many of `/proc`'s ticks make a second.
static TICKS: LazyLock<f64> = LazyLock::new(|| {
    let told = Command::new("getconf").arg("CLK_TCK").output().unwrap();
    let told = String::from_utf8(told.stdout).unwrap();
    told.trim().parse().unwrap()
});

impl Server {
    /// This program again, in another part.
    pub(crate) fn own(arguments: &[&str]) -> Self {
        let program = std::env::current_exe().unwrap();
        Self::telling(Command::new(program).args(arguments))
            .expect("a server of this benchmark did not start")
    }

    /// A program whose first line tells where it listens; `None` where it tells nothing.
    pub(crate) fn telling(command: &mut Command) -> Option<Self> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut child = child.ok()?;
        let mut line = String::new();
        let told = BufReader::new(child.stdout.take().unwrap()).read_line(&mut line);
        let address = told.ok().and_then(|_| line.trim().parse().ok());
        match address {
            Some(address) => Some(Self {
                child,
                address,
                folder: None,
            }),
            None => {
                let _ = child.kill();
                let _ = child.wait();
                None
            }
        }
    }

    /// The gateway, with `settings` after the model and the tiers.
    pub(crate) fn tierway(binary: &Path, upstream: SocketAddr, settings: &str) -> Self {
        let [address, admin] = [free(), free()];
        let name = format!("tierway-bench-{}-{}", std::process::id(), address.port());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        let config = folder.join("tierway.toml");
        let tiers = ["simple", "medium", "complex", "reasoning"]
            .map(|tier| format!("{tier} = \"o:bench\"\n"))
            .concat();
        let text = format!(
            "[providers.o]\nkind = \"openai-compatible\"\nbase_url = \"http://{upstream}/v1\"\napi_key = \"k\"\n[tiers]\n{tiers}\n{}",
            settings.replace("KEY", KEY)
        );
        fs::write(&config, text).unwrap();
        let log = fs::File::create(folder.join("log")).unwrap();
        let mut child = Command::new(binary)
            .arg("serve")
            .arg("--config")
            .arg(&config)
            .args(["--listen", &address.to_string()])
            .args(["--admin", &admin.to_string()])
            // The ledger of a first start, and of nobody's own.
            .env("HOME", &folder)
            .env_remove("XDG_STATE_HOME")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let end = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(address).is_err() {
            let ended = child.try_wait().unwrap();
            if ended.is_some() || Instant::now() > end {
                let log = fs::read_to_string(folder.join("log")).unwrap();
                panic!("tierway does not listen: {log}");
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Self {
            child,
            address,
            folder: Some(folder),
        }
    }

    /// The process and all below it.
    fn tree(&self) -> Vec<u32> {
        let mut all = vec![self.child.id()];
        let mut at = 0;
        while let Some(id) = all.get(at) {
            let tasks = fs::read_dir(format!("/proc/{id}/task"));
            for task in tasks.into_iter().flatten().flatten() {
                let children = fs::read_to_string(task.path().join("children"));
                let children = children.unwrap_or_default();
                all.extend(
                    children
                        .split_whitespace()
                        .filter_map(|c| c.parse::<u32>().ok()),
                );
            }
            at += 1;
        }
        all
    }

    /// User and system time of all threads of all processes so far.
    pub(crate) fn processor_time(&self) -> Duration {
        let ticks: u64 = self.tree().into_iter().map(ticks).sum();
        Duration::from_secs_f64(ticks as f64 / *TICKS)
    }

    /// A line of `/proc/PID/status` in bytes, over all processes: `VmHWM` is the most memory that was ever resident, `VmRSS` is what is now.
    pub(crate) fn memory(&self, line: &str) -> u64 {
        self.tree().into_iter().map(|id| memory(id, line)).sum()
    }
}

fn ticks(id: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    // The name of the command, in parentheses, may hold spaces.
    let Some((_, fields)) = stat.rsplit_once(')') else {
        return 0;
    };
    let fields: Vec<u64> = fields
        .split_whitespace()
        .map(|field| field.parse().unwrap_or_default())
        .collect();
    fields[11] + fields[12]
}

fn memory(id: u32, line: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let told = status.lines().find_map(|told| told.strip_prefix(line));
    let told = told.unwrap_or_default().trim_start_matches(':').trim();
    told.trim_end_matches(" kB")
        .parse::<u64>()
        .unwrap_or_default()
        << 10
}

impl Drop for Server {
    fn drop(&mut self) {
        let all = self.tree();
        // Who has started others clears up after them, if it is asked to.
        let own = self.child.id().to_string();
        let _ = Command::new("kill").arg(own).status();
        let end = Instant::now() + Duration::from_secs(2);
        while Instant::now() < end && !matches!(self.child.try_wait(), Ok(Some(_))) {
            std::thread::sleep(Duration::from_millis(10));
        }
        for id in all.into_iter().skip(1) {
            let _ = Command::new("kill")
                .args(["-9", &id.to_string()])
                .stderr(Stdio::null())
                .status();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(folder) = &self.folder {
            let _ = fs::remove_dir_all(folder);
        }
    }
}

/// A port that was free a moment ago.
fn free() -> SocketAddr {
    let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap()
}
