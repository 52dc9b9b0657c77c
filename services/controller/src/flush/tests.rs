use super::*;

fn refused(code: &'static str) -> RedisError {
    redis::make_extension_error(code.to_owned(), Some("user hunter2 at 10.0.0.1".to_owned()))
}

#[test]
fn causes_are_told_apart_without_the_servers_own_words() {
    let io = |kind: std::io::ErrorKind| RedisError::from(std::io::Error::from(kind));
    for (error, expected) in [
        (io(std::io::ErrorKind::ConnectionRefused), "Redis cannot be reached: the connection is refused"),
        (io(std::io::ErrorKind::TimedOut), "Redis cannot be reached: it does not answer in time"),
        (
            io(std::io::ErrorKind::BrokenPipe),
            "Redis cannot be reached: the connection cannot be made or was lost",
        ),
        (refused("NOAUTH"), "Redis refused the flush: NOAUTH"),
        (refused("MISCONF"), "Redis refused the flush: MISCONF"),
        (
            (ErrorKind::AuthenticationFailed, "no").into(),
            "Redis refused the flush: the user or the password is wrong",
        ),
    ] {
        assert_eq!(failure(&error).to_string(), expected);
    }
}
