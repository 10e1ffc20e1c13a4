//! How the shared library is linked.

fn main() {
    let major = std::env::var("CARGO_PKG_VERSION_MAJOR").expect("cargo sets it");
    // Programs ask for the major version that they were linked with.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libalq-aio.so.{major}");
    // A flusher may run in it as long as the process lives, so dlclose(3) must not take the code away.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    // A symbol that is missing is an error here, and not in somebody's program.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,defs");
    println!("cargo:rerun-if-changed=build.rs");
}
