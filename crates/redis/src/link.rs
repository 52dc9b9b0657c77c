use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster_async::ClusterConnection;
use redis::{Cmd, ErrorKind, Pipeline, RedisError, RedisFuture, RedisResult, ServerErrorKind, Value};

/// A connection to one server or to all nodes of a cluster. A clone is the same.
#[derive(Clone)]
pub struct Link {
    pub(crate) kind: Kind,
    /// How often the primary had changed before the connection was made: for [`Servers::check`](crate::Servers::check).
    pub switches: u64,
}

#[derive(Clone)]
pub(crate) enum Kind {
    Server(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Link {
    /// Whether it is to a cluster, where redis-rs connects to another server without telling.
    #[must_use]
    pub fn is_cluster(&self) -> bool {
        matches!(self.kind, Kind::Cluster(_))
    }

    /// Runs commands of one key each, all of one hash slot, in their order.
    ///
    /// # Errors
    /// Redis's; some may have taken effect.
    pub async fn run(mut self, commands: &Pipeline) -> RedisResult<()> {
        match commands.exec_async(&mut self).await {
            // The slot is being migrated, and redis-rs asks for it before the first command of a pipeline only.
            Err(error) if is_redirect(&error) => {
                for command in commands.cmd_iter() {
                    command.exec_async(&mut self).await?;
                }
                Ok(())
            }
            result => result,
        }
    }
}

/// Whether Redis says that the keys are, or may be, elsewhere; of a pipeline the first error counts, so its commands must be of
/// one slot.
#[must_use]
pub fn is_redirect(error: &RedisError) -> bool {
    use ServerErrorKind::{Ask, Moved, TryAgain};
    matches!(error.kind(), ErrorKind::Server(Ask | Moved | TryAgain))
}

impl ConnectionLike for Link {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match &mut self.kind {
            Kind::Server(server) => server.req_packed_command(command),
            Kind::Cluster(cluster) => cluster.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match &mut self.kind {
            Kind::Server(server) => server.req_packed_commands(pipeline, offset, count),
            Kind::Cluster(cluster) => cluster.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match &self.kind {
            Kind::Server(server) => server.get_db(),
            Kind::Cluster(_) => 0,
        }
    }
}
