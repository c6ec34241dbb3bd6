# SPDX-License-Identifier: Apache-2.0
"""fake_server.py FOLDER PROGRAM ARGUMENT…: makes the folder with servers of somebody else's in it, in a /tmp of its own,
runs the program for two seconds, and prints how much it said to them. It is run in a mount namespace."""

import os
import socket
import struct
import subprocess
import sys
import threading
import time

folder, command = sys.argv[1], sys.argv[2:]
program_fd = os.open(command[0], os.O_RDONLY)  # it may lie in the /tmp that is about to be hidden
subprocess.run(["mount", "-t", "tmpfs", "none", "/tmp"], check=True)
os.mkdir(folder)
os.chmod(folder, 0o777)
heard = bytearray()


def answer(connection, greeting):
    """Plays along: the link's welcome comes after the hello."""
    connection.settimeout(2.0)
    try:
        if greeting:
            connection.sendall(greeting)
        while data := connection.recv(1 << 16):
            if not heard and not greeting:
                body = bytes([0x92, 2, 0x81]) + b"\xa8protocol\x01"
                connection.sendall(struct.pack(">I", len(body)) + body)
            heard.extend(data)
    except OSError:
        pass


def serve(name, greeting):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{folder}/{name}")
    os.chmod(f"{folder}/{name}", 0o777)
    listener.listen()
    while True:
        threading.Thread(target=answer, args=(listener.accept()[0], greeting), daemon=True).start()


for each in (("loom.sock", b""), ("bus-control.sock", b"\0SP\0\0\x31\0\0"), ("bus-bridge.sock", b"\0SP\0\0\x10\0\0")):
    threading.Thread(target=serve, args=each, daemon=True).start()
while len(os.listdir(folder)) < 3:
    time.sleep(0.01)
program = subprocess.Popen(command, executable=f"/proc/self/fd/{program_fd}", pass_fds=(program_fd,), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
try:
    program.wait(2.0)
except subprocess.TimeoutExpired:
    program.kill()
    program.wait()
print(f"heard {len(heard)} bytes{', the payload among them' if b'the-secret-payload' in heard else ''}", flush=True)
os._exit(0)
