//! Addresses that lead to other servers in time.

use std::future::pending;

use farmlokal_devstack::Database;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// What clients know of a server: an address that leads to whichever it is now.
pub(crate) struct Name {
    pub(crate) port: u16,
    pub(crate) leads_to: watch::Sender<u16>,
}

/// What becomes of connections when a name leads to another server.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Open {
    Cut,
    Kept,
    /// They stay open, and nothing comes through them any more.
    Silent,
}

impl Name {
    pub(crate) async fn of(database: &Database, open: Open) -> Name {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (leads_to, target) = watch::channel(database.port());
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let mut target = target.clone();
                tokio::spawn(async move {
                    let port = *target.borrow_and_update();
                    let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
                    tokio::select! {
                        _ = copy_bidirectional(&mut client, &mut server) => {}
                        _ = target.changed(), if open != Open::Kept => {
                            if open == Open::Silent {
                                pending::<()>().await;
                            }
                        }
                    }
                });
            }
        });
        Name { port, leads_to }
    }
}
