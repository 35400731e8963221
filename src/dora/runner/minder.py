"""The minder: the process between the runner and its nodes, which lets nothing survive the runner.

Strategy: `BOOT`, run with `python -I -S`, imports this one file by its folder (so its byte code is cached); it imports
neither dora nor anything slow (the C modules `_signal`, `_socket` and `_ctypes` stand in for their Python wrappers,
which would double its start time).
It is a child subreaper in a session of its own, so whatever the nodes leave behind becomes its child,
and no Ctrl-C, SIGTERM or SIGHUP reaches it.  It forks and executes the nodes: one thread, one `poll`.

Its standard input is the SEQPACKET link to the runner.  Messages are marshalled tuples (both ends run the same
interpreter); one too long for a datagram travels in a memfd:

    to the minder    ("spawn", name, argv, env, cwd, cpu_affinity)  fds: stdout, stderr
                     ("memfd", size)                                fds: memfd, then those of the message in it
                     ("signal", name, signum)    to the process group
                     ("kill", name)              SIGKILL: group, descendants, orphans
    to the runner    ("spawned", name, pid)
                     ("spawn-failed", name, errno, message)
                     ("exited", name, pid, code or None, signum or None)

When a node's main process ends, its process group and its orphans are killed and gone before "exited" is reported;
only a process that does not die within a second (uninterruptible sleep) is not waited for.  Its orphans are children of
the minder in that group, or whose environment carries the same DORA_NODE_CONFIG, or that have lost it but still print
to the node's pipes, or that no other node can have started; and all below them.  At end of file from the
runner everything below is killed until no child is left, the runtime directory is removed, and the minder ends.

`processes.py`, the runner's side, uses the functions on the process tree too: when the minder itself is killed, its
orphans become the runner's.
"""

from __future__ import annotations

import _ctypes
import _signal  # type: ignore[import-not-found]  # CPython's own, without a stub
import _socket
import errno
import marshal
import os
import resource
import select
import time

TYPE_CHECKING = False  # known to type checkers under this name; `typing` itself costs 6 ms
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, Final, NoReturn

BOOT: Final = "import sys; sys.path.insert(0, sys.argv[1]); import minder; minder.main(sys.argv[2])"
LINK_FD: Final = 0
LOCK_FD: Final = 3
LOCK_NAME: Final = "lock"
MARKER: Final = "DORA_NODE_CONFIG"
MAX_MESSAGE: Final = 1 << 16
MAX_FDS: Final = 8
MAX_OPEN_FILES: Final = 1 << 20
MAX_CPUS: Final = 1024
LEFTOVER_PATIENCE_S: Final = 1.0
EXEC_GAP_S: Final = 0.05
FINISH_PATIENCE_S: Final = 2.0
LEFTOVER_POLL_MS: Final = 3

PR_SET_PDEATHSIG: Final = 1
PR_SET_CHILD_SUBREAPER: Final = 36
SETTABLE_SIGNALS: Final = _signal.valid_signals() - {_signal.SIGKILL, _signal.SIGSTOP}


def prctl(option: int, value: int) -> None:
    """prctl(2) with one argument, through the C half of ctypes (the Python half costs 4 ms)."""
    program = _ctypes.dlopen(None, 0)  # type: ignore[arg-type]  # None is the program itself
    address = _ctypes.dlsym(program, "prctl")
    if _ctypes.call_function(address, (option, value, 0, 0, 0)) != 0:
        raise OSError(f"prctl({option}, {value}) was refused")


# The process tree


def children(pid: int) -> list[int]:
    """Children of `pid`, zombies included; none if it is gone."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
    found: list[int] = []
    for thread in threads:
        try:
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                found += map(int, file.read().split())
        except OSError:
            if not os.path.exists("/proc/thread-self/children"):
                return _children_by_table(pid)  # a kernel without CONFIG_PROC_CHILDREN
    return found


def _children_by_table(pid: int) -> list[int]:
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            try:
                with open(f"/proc/{entry}/stat", "rb") as file:
                    parent = file.read().rpartition(b")")[2].split()[1]
            except OSError:
                continue
            if int(parent) == pid:
                found.append(int(entry))
    return found


def descendants(pid: int) -> list[int]:
    """Everything below `pid`, parents first, as far as one look can tell."""
    found: dict[int, None] = {}
    waiting = children(pid)
    while waiting:
        child = waiting.pop()
        if child not in found:
            found[child] = None
            waiting += children(child)
    return list(found)


def environment_value(pid: int, variable: str) -> bytes | None:
    """The value of `variable` in the environment that `pid` was started with; b"" if it cannot be told now.

    A process in the middle of execve(2) and a zombie have no environment.
    """
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            content = file.read()
    except ProcessLookupError:
        return b""
    except OSError:
        return None
    if not content:
        return b""
    start = variable.encode() + b"="
    for entry in content.split(b"\0"):
        if entry.startswith(start):
            return entry[len(start) :]
    return None


def inode_of(pid: int, fd: int) -> int:
    """Of what `pid` has open as `fd`; 0 if nothing, or if it is not told."""
    try:
        return os.stat(f"/proc/{pid}/fd/{fd}").st_ino
    except OSError:
        return 0


def kill_each(pids: Iterable[int]) -> bool:
    """SIGKILL to each of `pids`; whether any of them could be killed."""
    is_any_killed = False
    for pid in pids:
        try:
            os.kill(pid, _signal.SIGKILL)
            is_any_killed = True
        except (ProcessLookupError, PermissionError):
            continue
    return is_any_killed


def signal_group(pid: int, signum: int) -> None:
    """A signal to the process group of `pid`, if there is one that may be told."""
    try:
        os.killpg(pid, signum)
    except (ProcessLookupError, PermissionError):
        return


def reap_all() -> bool:
    """Reap every zombie child; whether a living child is left."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def remove_tree(path: str) -> None:
    """Remove a directory and what is in it; what cannot be removed stays (`shutil` costs 10 ms to import)."""
    try:
        entries = list(os.scandir(path))
    except OSError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            remove_tree(entry.path)
            continue
        try:
            os.unlink(entry.path)
        except OSError:
            continue
    try:
        os.rmdir(path)
    except OSError:
        return


# Starting a node


def become_node(request: tuple[Any, ...], stdout: int, stderr: int, failure: int, minder: int) -> NoReturn:
    """In the forked child: turn into the node, or write "errno message" to `failure`."""
    _, _, argv, env, cwd, affinity = request
    what = "set up the process"
    try:
        os.setpgid(0, 0)
        prctl(PR_SET_PDEATHSIG, _signal.SIGKILL)
        if os.getppid() != minder:
            os._exit(127)
        null = os.open("/dev/null", os.O_RDONLY)
        for source, target in ((null, 0), (stdout, 1), (stderr, 2)):
            os.dup2(source, target)
        what = f"enter the directory {cwd}"
        os.makedirs(cwd, exist_ok=True)
        os.chdir(cwd)
        what = "set up the process"
        pin(affinity)
        restore_signals()
        what = f"execute {argv[0]}"
        if "/" in argv[0]:
            os.execve(argv[0], argv, env)
        os.execvpe(argv[0], argv, env)
    except OSError as error:
        report = f"{error.errno or 0} cannot {what}: {error.strerror or error}{exec_hint(error, argv[0])}"
    except BaseException as error:
        report = f"0 cannot {what}: {error!r}"
    os.write(failure, report.encode("utf-8", "replace")[:4096])
    os._exit(127)


def exec_hint(error: OSError, program: str) -> str:
    """What the error of execve(2) leaves unsaid."""
    if error.errno == errno.ENOEXEC:
        return " (a script needs a first line such as #!/bin/sh)"
    if error.errno == errno.ENOENT and os.path.exists(program):
        return " (the interpreter in its first line is missing)"
    if error.errno == errno.E2BIG:
        return " (each argument and variable: at most 128 KiB)"
    if error.errno == errno.EACCES and os.path.isfile(program):
        return " (not executable: chmod +x)"
    return ""


def make_group(pid: int) -> None:
    """The child does it too: whoever comes first."""
    try:
        os.setpgid(pid, pid)
    except OSError:
        return


def pin(affinity: tuple[int, ...] | None) -> None:
    """`cpu_affinity` of the node (dora dataflow-yaml, section 6): what cannot be had is warned of on its stderr."""
    if affinity is None:
        return
    wanted = {cpu for cpu in affinity if cpu < MAX_CPUS}
    try:
        os.sched_setaffinity(0, wanted)
        is_pinned = True
    except OSError:
        is_pinned = False
    if not is_pinned:
        os.write(2, f"warning: cpu_affinity {list(affinity)}: no such core here, the node is not pinned\n".encode())
    elif len(wanted) < len(set(affinity)):
        os.write(2, f"warning: cpu_affinity: cores from {MAX_CPUS} on are left out\n".encode())


def restore_signals() -> None:
    """Default dispositions and an empty mask, as a program expects to start with."""
    for signum in SETTABLE_SIGNALS:
        if _signal.getsignal(signum) != _signal.SIG_DFL:
            _signal.signal(signum, _signal.SIG_DFL)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())


class Child:
    """A node's main process.

    Attributes:
        exec_pipe: read end; EOF says that the program runs, content says why it does not; -1 once read.
        marker: its DORA_NODE_CONFIG, by which its orphans are known.
        pipes: inodes of its stdout and stderr, by which those are known that lost their environment.
        ended_s: when the main process was reaped, `result` then says how.
        doomed: its orphans that were sent SIGKILL and are not reaped yet.
    """

    __slots__ = ("doomed", "ended_s", "exec_pipe", "is_failed", "marker", "name", "pid", "pipes", "result")

    def __init__(self, name: str, pid: int, exec_pipe: int, marker: bytes | None, pipes: frozenset[int]) -> None:
        self.name = name
        self.pid = pid
        self.exec_pipe = exec_pipe
        self.marker = marker
        self.pipes = pipes
        self.is_failed = False
        self.doomed: frozenset[int] = frozenset()
        self.ended_s = 0.0
        self.result: tuple[int | None, int | None] = (None, None)


class Minder:
    """The loop: requests in, reports out, everything that dies reaped."""

    def __init__(self, link: _socket.socket, runtime_dir: str) -> None:
        self.link = link
        self.runtime_dir = runtime_dir
        self.pid = os.getpid()
        self.running: dict[int, Child] = {}
        self.ending: list[Child] = []
        self.outbox: list[bytes] = []
        self.poll = select.poll()
        self.wake_fd = wake_on_child_exit()
        self.poll.register(LINK_FD, select.POLLIN)
        self.poll.register(self.wake_fd, select.POLLIN)

    def run(self) -> None:
        """Until the runner is gone, then leave nothing."""
        while True:
            events = self.poll.poll(LEFTOVER_POLL_MS if self.ending else None)
            for fd, _ in events:
                if fd == LINK_FD:
                    if not self.receive():
                        self.finish()
                        return
                elif fd == self.wake_fd:
                    os.read(fd, 4096)
                else:
                    self.started(fd)
            self.reap()
            self.settle()
            self.flush()

    # Requests

    def receive(self) -> bool:
        """Carry out one request; False at end of file."""
        try:
            payload, ancillary, _, _ = self.link.recvmsg(
                MAX_MESSAGE, _socket.CMSG_SPACE(4 * MAX_FDS), _socket.MSG_DONTWAIT | _socket.MSG_CMSG_CLOEXEC
            )
        except BlockingIOError:
            return True
        except ConnectionError:
            return False
        fds = [fd for _, _, data in ancillary for fd in memoryview(data[: len(data) // 4 * 4]).cast("i")]
        if not payload:
            return False
        try:
            self.carry_out(payload, fds)
        except (ValueError, EOFError, TypeError, LookupError, AttributeError):
            return False  # whoever says such things is no runner: the end
        finally:
            for fd in fds:
                os.close(fd)
        return True

    def carry_out(self, payload: bytes, fds: list[int]) -> None:
        """One request; `fds` stay the caller's."""
        message = marshal.loads(payload)
        if message[0] == "memfd":
            message = marshal.loads(os.pread(fds[0], message[1], 0))
            os.close(fds.pop(0))
        if message[0] == "spawn":
            self.spawn(message, fds)
        elif message[0] == "signal":
            self.signal(message[1], message[2])
        else:
            self.kill(message[1])

    def spawn(self, request: tuple[Any, ...], fds: list[int]) -> None:
        """Fork, and let the child execute the program; `started` hears how that went."""
        name, env = request[1], request[3]
        if len(fds) != 2:
            self.report(("spawn-failed", name, errno.EMFILE, "too many open files to start it: raise `ulimit -n`"))
            return
        failure_read = failure_write = -1
        try:
            failure_read, failure_write = os.pipe()
            _signal.pthread_sigmask(_signal.SIG_BLOCK, SETTABLE_SIGNALS)  # nothing sent to the child meanwhile is lost
            pid = os.fork()
            if pid == 0:
                become_node(request, fds[0], fds[1], failure_write, self.pid)
        except OSError as error:
            os.close(failure_read) if failure_read >= 0 else None
            self.report(("spawn-failed", name, error.errno or 0, f"cannot start a process: {error.strerror}"))
            return
        finally:
            _signal.pthread_sigmask(_signal.SIG_SETMASK, ())
            os.close(failure_write) if failure_write >= 0 else None
        make_group(pid)
        marker = env.get(MARKER)
        pipes = frozenset(os.fstat(fd).st_ino for fd in fds)
        child = Child(name, pid, failure_read, None if marker is None else os.fsencode(marker), pipes)
        self.running[pid] = child
        self.poll.register(failure_read, select.POLLIN)

    def started(self, exec_pipe: int) -> None:
        """The child behind `exec_pipe` runs its program, or says why not."""
        for child in self.running.values():
            if child.exec_pipe == exec_pipe:
                break
        else:
            return
        failure = os.read(exec_pipe, 4096).decode("utf-8", "replace")
        self.poll.unregister(exec_pipe)
        os.close(exec_pipe)
        child.exec_pipe = -1
        if failure:
            number, _, message = failure.partition(" ")
            child.is_failed = True
            self.report(("spawn-failed", child.name, int(number), message))
        else:
            self.report(("spawned", child.name, child.pid))

    def signal(self, name: str, signum: int) -> None:
        """To the process group of a running node."""
        for child in self.running.values():
            if child.name == name:
                signal_group(child.pid, signum)

    def kill(self, name: str) -> None:
        """SIGKILL to all of a node; orphans that come up later are killed when its main process is reaped."""
        for child in self.running.values():
            if child.name == name:
                below = descendants(child.pid)
                self.signal(name, _signal.SIGKILL)
                kill_each(below)
                self.kill_orphans(child)

    # Deaths

    def reap(self) -> None:
        """Reap all zombies.  A node's group is killed while its zombie still holds the number."""
        while True:
            try:
                info = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if info is None:
                return
            child = self.running.get(info.si_pid)
            if child is not None:
                self.ended(child, info.si_code == os.CLD_EXITED, info.si_status)
            os.waitpid(info.si_pid, 0)

    def ended(self, child: Child, is_exit: bool, status: int) -> None:
        if child.exec_pipe >= 0:
            self.started(child.exec_pipe)
        del self.running[child.pid]
        if child.is_failed:
            return
        signal_group(child.pid, _signal.SIGKILL)
        child.result = (status, None) if is_exit else (None, status)
        child.ended_s = time.monotonic()
        self.ending.append(child)

    def settle(self) -> None:
        """Report the nodes of which nothing is left."""
        waiting = []
        for child in self.ending:
            is_left = self.kill_orphans(child)
            if is_left and time.monotonic() - child.ended_s < LEFTOVER_PATIENCE_S:
                waiting.append(child)
            else:
                self.report(("exited", child.name, child.pid, *child.result))
        self.ending = waiting

    def kill_orphans(self, child: Child) -> bool:
        """SIGKILL to a node's orphans and all below them; whether there are, or may be, any."""
        is_maybe_left = False
        doomed = []
        for pid in children(self.pid):
            if pid in self.running:
                continue
            if pid in child.doomed:  # dying: it has no environment any more
                doomed.append(pid)
                continue
            try:
                is_ours = os.getpgid(pid) == child.pid
            except ProcessLookupError:
                continue
            if not is_ours and child.marker is not None:
                value = environment_value(pid, MARKER)
                is_in_gap = value == b"" and time.monotonic() - child.ended_s < EXEC_GAP_S
                is_ours = value == child.marker or (not value and not is_in_gap and self.is_nameless_of(pid, child))
                is_maybe_left |= is_in_gap
            if is_ours:
                doomed.append(pid)
                kill_each([pid, *descendants(pid)])
        child.doomed = frozenset(doomed)
        return is_maybe_left or bool(doomed)

    def is_nameless_of(self, pid: int, child: Child) -> bool:
        """Whether `child` started a process without a node's environment: it prints there, or no other node runs."""
        return not self.running or any(inode_of(pid, fd) in child.pipes for fd in (1, 2))

    def finish(self) -> None:
        """The runner is gone: kill whatever is below, again and again, then remove the runtime directory."""
        for pid in self.running:
            signal_group(pid, _signal.SIGKILL)
        started_s = time.monotonic()
        pause_s = 0.001
        while reap_all():
            is_any_killed = kill_each(descendants(self.pid))
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, 0.05)
            if time.monotonic() - started_s > FINISH_PATIENCE_S:
                remove_runtime_dir(self.runtime_dir)
                if not is_any_killed:
                    break  # what is left belongs to somebody else (a setuid program): not ours to wait for
        remove_runtime_dir(self.runtime_dir)

    # Reports

    def report(self, message: tuple[Any, ...]) -> None:
        self.outbox.append(marshal.dumps(message))

    def flush(self) -> None:
        """Send what can be sent now; a stopped runner must not stop the minder."""
        while self.outbox:
            try:
                self.link.send(self.outbox[0], _socket.MSG_DONTWAIT | _socket.MSG_NOSIGNAL)
            except BlockingIOError:
                break
            except OSError:
                self.outbox.clear()
                break
            self.outbox.pop(0)
        self.poll.modify(LINK_FD, select.POLLIN | select.POLLOUT if self.outbox else select.POLLIN)


def wake_on_child_exit() -> int:
    """A descriptor that is readable after every SIGCHLD."""
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)
    os.set_blocking(write_end, False)
    _signal.signal(_signal.SIGCHLD, lambda signum, frame: None)
    _signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    return read_end


def remove_runtime_dir(path: str) -> None:
    """Remove it, if it is one (it holds the runner's lock file)."""
    if os.path.exists(os.path.join(path, LOCK_NAME)):
        remove_tree(path)


def raise_descriptor_limit() -> None:
    """As many open files as this process may allow itself."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def main(runtime_dir: str) -> NoReturn:
    """Serve the runner at the other end of standard input until it is gone."""
    for signum in (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP, _signal.SIGQUIT, _signal.SIGTSTP):
        _signal.signal(signum, _signal.SIG_IGN)
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    os.chdir("/")
    for name in os.listdir("/proc/self/fd"):
        fd = int(name)
        try:
            os.set_inheritable(fd, False) if fd <= LOCK_FD else os.close(fd)
        except OSError:
            continue
    raise_descriptor_limit()
    Minder(_socket.socket(fileno=LINK_FD), runtime_dir).run()
    os._exit(0)  # to take the interpreter apart costs 3 ms, and the runner waits for this end
