//! Messages on gRPC streams, with buffers that suit thousands of streams that are mostly silent.

use std::marker::PhantomData;

use prost::Message;
use tonic::codec::{BufferSettings, Codec};
use tonic_prost::{ProstDecoder, ProstEncoder};

/// What a stream keeps for its next message, in bytes; tonic's own default is eight times that. It grows with the message.
const BUFFER: usize = 1024;

/// Encoded bytes after which they are handed on, in bytes.
const YIELD: usize = 32 * 1024;

/// The codec of every call: what is encoded, and what is decoded.
#[derive(Debug)]
pub struct StreamCodec<T, U>(PhantomData<(T, U)>);

// === impl StreamCodec ===

impl<T, U> Default for StreamCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for StreamCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = ProstDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::new(BufferSettings::new(BUFFER, YIELD))
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstDecoder::new(BufferSettings::new(BUFFER, YIELD))
    }
}
