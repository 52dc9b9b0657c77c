//! The other end of a callback: takes webhooks and answers as a test says.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::post;
use tokio::net::TcpListener;

/// A webhook as it arrived.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub id: String,
    pub timestamp: i64,
    pub signature: String,
    pub body: Vec<u8>,
    pub at: Instant,
}

type Answer = Arc<dyn Fn(usize) -> Response + Send + Sync>;

/// A running callback.
#[derive(Clone)]
pub struct Receiver {
    deliveries: Arc<Mutex<Vec<Delivery>>>,
    answer: Answer,
    address: SocketAddr,
}

impl Receiver {
    /// `answer` is given how often this event has come by now, this time included.
    pub async fn start(answer: impl Fn(usize) -> Response + Send + Sync + 'static) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Receiver::start_on(listener, answer)
    }

    pub fn start_on(
        listener: TcpListener,
        answer: impl Fn(usize) -> Response + Send + Sync + 'static,
    ) -> Receiver {
        let address = listener.local_addr().unwrap();
        let receiver = Receiver { deliveries: Arc::default(), answer: Arc::new(answer), address };
        let router = Router::new().route("/webhook", post(receive)).with_state(receiver.clone());
        tokio::spawn(axum::serve(listener, router).into_future());
        receiver
    }

    pub fn url(&self) -> String {
        format!("http://{}/webhook", self.address)
    }

    pub fn deliveries(&self) -> Vec<Delivery> {
        self.deliveries.lock().unwrap().clone()
    }
}

async fn receive(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> Response {
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    let delivery = Delivery {
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp").parse().unwrap(),
        signature: header("webhook-signature"),
        body: body.to_vec(),
        at: Instant::now(),
    };
    let times = {
        let mut deliveries = receiver.deliveries.lock().unwrap();
        deliveries.push(delivery.clone());
        deliveries.iter().filter(|earlier| earlier.id == delivery.id).count()
    };
    (receiver.answer)(times)
}
