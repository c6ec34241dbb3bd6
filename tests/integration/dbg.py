import socket, sys
from harness import *
import control
with Home() as h:
    print(len(h.stats()))
    s=socket.socket(socket.AF_UNIX); s.connect(str(h.control_path)); s.close()
    for i in range(3): print("after close", len(h.stats()))
    s=socket.socket(socket.AF_UNIX); s.connect(str(h.control_path)); s.sendall(control.GREETING); s.close()
    print("after greeting", len(h.stats()))
    s=socket.socket(socket.AF_UNIX); s.connect(str(h.control_path)); s.sendall(b"GET / HTTP"); s.close()
    print("after http", len(h.stats()))
    p=h.run("loom-broker","--listen","tcp://127.0.0.1:0","--bus-control",f"ipc://{h.control_path}","--bus-pull","","--bus-pub","","--bridge-pull","","--bridge-pub","")
    print(p.wait(), p.err)
    print("after second", len(h.stats()))
