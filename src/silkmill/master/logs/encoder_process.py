"""The process that packs the blocks of one large log."""

from silkmill.master.logs.encoder import Encoder
from silkmill.runtime.workprocess import serve

if __name__ == "__main__":
    serve(Encoder().take)
