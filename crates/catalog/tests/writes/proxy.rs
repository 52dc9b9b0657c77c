//! A proxy before the database, which cuts a connection off at its COMMIT.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use farmlokal_testing::TestDatabase;
use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// When the client is cut off.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Cut {
    BeforeCommit,
    AfterCommit,
}

pub(crate) struct Proxy {
    address: SocketAddr,
    is_armed: Arc<AtomicBool>,
}

impl Proxy {
    pub(crate) async fn start(database: &TestDatabase, cut: Cut) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, is_armed) = (listener.local_addr().unwrap(), Arc::new(AtomicBool::new(false)));
        let armed = Arc::clone(&is_armed);
        let server = format!("{}:{}", database.options.get_host(), database.options.get_port());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.unwrap();
                tokio::spawn(pass(client, server, Arc::clone(&armed), cut));
            }
        });
        Proxy { address, is_armed }
    }

    /// How to reach the database through it.
    pub(crate) fn options(&self, database: &TestDatabase) -> MySqlConnectOptions {
        // So that it can read along.
        let options = database.options.clone().ssl_mode(MySqlSslMode::Disabled);
        options.host(&self.address.ip().to_string()).port(self.address.port())
    }

    /// Cuts the next COMMIT.
    pub(crate) fn arm(&self) {
        self.is_armed.store(true, Ordering::SeqCst);
    }

    /// Whether it still waits for one.
    pub(crate) fn is_armed(&self) -> bool {
        self.is_armed.load(Ordering::SeqCst)
    }
}

async fn pass(mut client: TcpStream, mut server: TcpStream, armed: Arc<AtomicBool>, cut: Cut) {
    let (mut asked, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let Ok(read @ 1..) = read else { return };
                let is_commit = asked[..read].ends_with(b"\x03COMMIT");
                let is_cut = is_commit && armed.swap(false, Ordering::SeqCst);
                if is_cut && cut == Cut::BeforeCommit {
                    return;
                }
                server.write_all(&asked[..read]).await.unwrap();
                if is_cut {
                    // It has committed when it answers.
                    assert!(server.read(&mut answered).await.unwrap() > 0);
                    return;
                }
            }
            read = server.read(&mut answered) => {
                let Ok(read @ 1..) = read else { return };
                if client.write_all(&answered[..read]).await.is_err() {
                    return;
                }
            }
        }
    }
}
