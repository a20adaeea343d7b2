//! Varlink framing and calls, the bytes cut in two anywhere.
#![no_main]

use bastide_ipc::codec::{Decoder, MESSAGE_LIMIT, encode};
use bastide_ipc::init::{Method, Status};
use bastide_ipc::message::{Call, Reply};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (usize, &[u8])| {
    let (cut, bytes) = input;
    let (first, second) = bytes.split_at(cut % (bytes.len() + 1));
    let mut decoder = Decoder::default();
    for piece in [first, second] {
        decoder.push(piece);
        while let Ok(Some(message)) = decoder.next_message() {
            assert!(message.len() <= MESSAGE_LIMIT && !message.contains(&0));
            let _reply = Reply::parse::<Status>(&message);
            let Ok(call) = Call::parse(&message) else {
                continue;
            };
            let (_, method) = call.split().expect("a call that parses has a method");
            let _method = Method::of(&call, method);
            // JSON may grow when written again, for instance by escapes; then it is refused.
            if let Ok(mut again) = encode(&call) {
                assert_eq!(again.pop(), Some(0));
                let read = Call::parse(&again).expect("what we write we read");
                assert_eq!(read.method, call.method);
            }
        }
    }
});
