//! `farmlokal-dev`: what `make run` and `make test` call.

fn main() {}
