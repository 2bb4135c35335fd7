#!/usr/bin/env python3
"""A bad link between two TUN devices, packet by packet, for kernels without netem.

    emulator.py --devices=NAME,NAME --seed=N     needs root and /dev/net/tun
    emulator.py --replay                         needs nothing: virtual time, see replay_all()

The devices belong to the two ends, 0 and 1; whoever starts this program moves each into a network
namespace and gives it an address. One JSON object a line on standard input:

    {"do": "steps", "steps": [[seconds, {setting: value, ...}], ...]}   from now on; 0: at once
    {"do": "stats", "id": N}

and on standard output: {"event": "ready"}, {"event": "step", "index": N, "at": Unix seconds} for
each step as it is taken, and {"event": "stats", "id": N, ...}. The end of standard input ends it.

A packet passes, in each direction of its own: the queue (tail drop), the serialisation at `rate`,
the channel (loss per packet in bursts, and fades, which spoil both directions), the delay. What a
cut finds in the queue or in the air is gone. Counted as carried is what was serialised, lost or
not: whoever pays by the byte pays for it.
"""

import collections
import fcntl
import json
import os
import random
import select
import struct
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TUN = 0x0001
IFF_NO_PI = 0x1000
PACKET_BYTES_MAX = 2048
TCP = 6
TCP_SYN, TCP_ACK = 0x02, 0x10

SETTINGS = {
    "rate": 1e6,  # bits a second
    "delay": 0.0,  # seconds, one way
    "queue": 64000,  # bytes that may wait for the serialisation
    "loss": 0.0,  # share of packets
    "burst": 1.0,  # mean packets lost in a row (Gilbert-Elliott)
    "fade_share": 0.0,  # share of the time in which every packet is lost
    "fade": 0.4,  # mean seconds of such a time
    "up": True,
}
COUNTERS = (
    "offered",  # packets that an end sent
    "cut",  # packets that came, waited or were in the air while the link was down
    "overflowed",  # packets for which the queue had no room
    "packets",  # packets serialised
    "bytes",  # IP bytes serialised
    "lost",  # of the packets serialised, those the channel lost
    "delivered",  # packets handed to the other end
    "syns",  # of the packets serialised, attempts to open a TCP connection
)


class Bursts:
    """Gilbert-Elliott: a good state that loses nothing and a bad one that loses every packet."""

    def __init__(self, chance):
        self.chance = chance
        self.bad = False

    def loses(self, loss, burst):
        if loss <= 0:
            self.bad = False
            return False
        if self.bad:
            self.bad = self.chance.random() >= 1 / burst
        else:
            self.bad = self.chance.random() < loss / (burst * (1 - loss))
        return self.bad


class Fades:
    """Times in which everything is lost, drawn ahead so that they do not depend on the packets."""

    def __init__(self, chance):
        self.chance = chance
        self.bad = False
        self.until = 0.0

    def is_bad(self, now, share, mean):
        if share <= 0:
            return False
        while self.until <= now:
            self.bad = not self.bad
            seconds = mean if self.bad else mean * (1 - share) / share
            self.until += self.chance.expovariate(1 / seconds)
        return self.bad


class Way:
    """One direction."""

    def __init__(self, chance):
        self.bursts = Bursts(chance)
        self.queue = collections.deque()  # (end of its serialisation, packet)
        self.air = collections.deque()  # (arrival, packet)
        self.free_at = 0.0
        self.counts = dict.fromkeys(COUNTERS, 0)


class Link:
    """The model without devices and clocks; `now` is in seconds and never goes back."""

    def __init__(self, seed, deliver):
        """`deliver(way, packet, at)`: way 0 leads from end 0 to end 1."""
        self.settings = dict(SETTINGS)
        self.ways = [Way(random.Random(f"{seed}/way/{way}")) for way in (0, 1)]
        self.fades = Fades(random.Random(f"{seed}/fades"))
        self.deliver = deliver

    def set(self, now, changes):
        self.advance(now)
        assert changes.keys() <= SETTINGS.keys(), changes
        self.settings.update(changes)
        if not self.settings["up"]:
            for way in self.ways:
                way.counts["cut"] += len(way.queue) + len(way.air)
                way.queue.clear()
                way.air.clear()
                way.free_at = now

    def offer(self, now, direction, packet):
        """An end sends a packet."""
        way, rate = self.ways[direction], self.settings["rate"]
        self.advance(now)
        way.counts["offered"] += 1
        if not self.settings["up"]:
            way.counts["cut"] += 1
            return
        waiting = max(0.0, way.free_at - now) * rate / 8
        if waiting + len(packet) > self.settings["queue"]:
            way.counts["overflowed"] += 1
            return
        way.free_at = max(way.free_at, now) + len(packet) * 8 / rate
        way.queue.append((way.free_at, packet))

    def advance(self, now):
        """Everything that has happened by `now`."""
        for direction, way in enumerate(self.ways):
            while way.queue and way.queue[0][0] <= now:
                self.serialised(way, *way.queue.popleft())
            while way.air and way.air[0][0] <= now:
                at, packet = way.air.popleft()
                way.counts["delivered"] += 1
                self.deliver(direction, packet, at)

    def serialised(self, way, at, packet):
        counts, settings = way.counts, self.settings
        counts["packets"] += 1
        counts["bytes"] += len(packet)
        counts["syns"] += is_syn(packet)
        faded = self.fades.is_bad(at, settings["fade_share"], settings["fade"])
        if way.bursts.loses(settings["loss"], settings["burst"]) or faded:
            counts["lost"] += 1
        else:
            way.air.append((at + settings["delay"], packet))

    def next_at(self):
        """When `advance` has something to do, or None."""
        heads = [line[0][0] for way in self.ways for line in (way.queue, way.air) if line]
        return min(heads, default=None)

    def counts(self):
        return [way.counts for way in self.ways]


def is_syn(packet):
    """Whether an IPv4 packet opens a TCP connection: SYN without ACK."""
    header = (packet[0] & 0x0F) * 4
    if packet[9] != TCP or len(packet) < header + 14:
        return False
    return packet[header + 13] & (TCP_SYN | TCP_ACK) == TCP_SYN


def replay_all():
    """The model on virtual time, a script a line: {"seed": N, "steps": as above, "packets":
    [[seconds, way, bytes, is it a SYN], ...] by time, "until": seconds}. Answers a line each:
    {"deliveries": [[seconds, way, number of the packet], ...], "ways": counters}."""
    for line in sys.stdin:
        print(json.dumps(replay(**json.loads(line))), flush=True)


def replay(seed, steps, packets, until):
    deliveries = []
    numbers = {}

    def deliver(way, packet, at):
        deliveries.append([round(at, 6), way, numbers[id(packet)]])

    link = Link(seed, deliver)
    events = [(at, 0, changes) for at, changes in steps]
    for number, (at, way, size, syn) in enumerate(packets):
        packet = fake_packet(size, syn)
        numbers[id(packet)] = number
        events.append((at, 1, (way, packet)))
    for at, kind, what in sorted(events, key=lambda event: event[:2]):
        if kind == 0:
            link.set(at, what)
        else:
            link.offer(at, *what)
    link.advance(until)
    return {"deliveries": deliveries, "ways": link.counts()}


def fake_packet(size, syn):
    packet = bytearray(size)
    packet[0] = 0x45
    packet[9] = TCP
    packet[33] = TCP_SYN if syn else TCP_ACK
    return bytes(packet)


def open_device(name):
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN | IFF_NO_PI))
    return device


def say(**message):
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


class Emulator:
    """The model between two real devices, in real time."""

    def __init__(self, names, seed):
        self.devices = [open_device(name) for name in names]
        self.link = Link(seed, self.write)
        self.steps = collections.deque()  # (monotonic seconds, index, changes)
        self.began = time.monotonic()
        self.poll = select.epoll()
        for readable in (*self.devices, sys.stdin.fileno()):
            self.poll.register(readable, select.EPOLLIN)
        self.unread = b""

    def write(self, way, packet, _at):
        try:
            os.write(self.devices[1 - way], packet)
        except OSError:
            pass  # The other end's device is down: nobody is there.

    def run(self):
        say(event="ready")
        while True:
            now = time.monotonic()
            self.take_steps(now)
            self.link.advance(self.seconds(now))
            for readable, _ in self.poll.poll(self.patience(time.monotonic())):
                if readable == sys.stdin.fileno():
                    if not self.obey():
                        return
                else:
                    self.read(readable)

    def seconds(self, now):
        return now - self.began

    def patience(self, now):
        """Seconds until something is to be done; None, for ever."""
        at = [] if self.link.next_at() is None else [self.link.next_at() + self.began]
        if self.steps:
            at.append(self.steps[0][0])
        return max(0.0, min(at) - now) if at else None

    def take_steps(self, now):
        while self.steps and self.steps[0][0] <= now:
            _, index, changes = self.steps.popleft()
            self.link.set(self.seconds(now), changes)
            say(event="step", index=index, at=time.time())

    def read(self, device):
        way = self.devices.index(device)
        while True:
            try:
                packet = os.read(device, PACKET_BYTES_MAX)
            except BlockingIOError:
                return
            # IPv6 looks for neighbours of its own accord, and nothing here speaks it.
            if packet[0] >> 4 == 4:
                self.link.offer(self.seconds(time.monotonic()), way, packet)

    def obey(self):
        """The commands that are there; False at the end of standard input."""
        chunk = os.read(sys.stdin.fileno(), 1 << 16)
        *lines, self.unread = (self.unread + chunk).split(b"\n")
        for line in lines:
            command = json.loads(line)
            if command["do"] == "steps":
                now = time.monotonic()
                self.steps = collections.deque(
                    (now + at, index, changes)
                    for index, (at, changes) in enumerate(command["steps"])
                )
                self.take_steps(now)
            elif command["do"] == "stats":
                now = time.monotonic()
                self.link.advance(self.seconds(now))
                say(event="stats", id=command["id"], at=time.time(), ways=self.link.counts())
            else:
                raise AssertionError(f"unknown command {command['do']}")
        return chunk != b""


def main(arguments):
    if arguments == ["--replay"]:
        return replay_all()
    flags = dict(argument.lstrip("-").split("=", 1) for argument in arguments)
    Emulator(flags["devices"].split(","), flags["seed"]).run()


if __name__ == "__main__":
    main(sys.argv[1:])
