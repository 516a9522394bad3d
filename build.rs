//! Generates the wire types from `proto/` with protox, so that a build needs no `protoc`.
//!
//! Beside the Rust code it writes the descriptor set that server reflection serves.

use std::{env, error::Error, fs, path::PathBuf};

use protox::prost::Message as _;

const ROOT: &str = "proto";
const SERVICES: [&str; 4] = [
    "envoy/service/ratelimit/v3/rls.proto",
    "tollgate/v1/bans.proto",
    "tollgate/v1/directory.proto",
    "tollgate/v1/quotas.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={ROOT}");
    let descriptors = protox::compile(SERVICES, [ROOT])?;
    let out = PathBuf::from(env::var("OUT_DIR")?).join("descriptors.bin");
    fs::write(out, descriptors.encode_to_vec())?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}
