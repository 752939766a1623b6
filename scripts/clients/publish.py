"""paho against the broker of a network, in MQTT 3.1.1 and 5; see publish.mjs.

usage: python3 publish.py PLAN.json
"""

import json
import queue
import sys

import paho.mqtt.client as mqtt

with open(sys.argv[1], encoding="utf-8") as file:
    plan = json.load(file)
OWN = "v1/obs/" + plan["device"]
PATIENCE = 60


def must(ok, what):
    if not ok:
        print("FAILED: paho:", what, file=sys.stderr)
        sys.exit(1)


def code(reason):
    """The number of a reason, which paho has as a number or as an object."""
    return getattr(reason, "value", reason)


class Client:
    """A connected client; what happens is in queues."""

    def __init__(self, version, name, password):
        self.connected, self.subscribed, self.acked = queue.Queue(), queue.Queue(), queue.Queue()
        self.messages, self.closed = queue.Queue(), queue.Queue()
        if hasattr(mqtt, "CallbackAPIVersion"):  # paho 2
            self.mqtt = mqtt.Client(mqtt.CallbackAPIVersion.VERSION1, protocol=version)
        else:
            self.mqtt = mqtt.Client(protocol=version)
        self.mqtt.username_pw_set(name, password)
        self.mqtt.on_connect = lambda c, u, flags, reason, *more: self.connected.put(code(reason))
        self.mqtt.on_disconnect = lambda *said: self.closed.put(True)
        self.mqtt.on_subscribe = lambda c, u, mid, reasons, *more: self.subscribed.put([code(r) for r in reasons])
        self.mqtt.on_publish = lambda c, u, mid: self.acked.put(mid)
        self.mqtt.on_message = lambda c, u, m: self.messages.put((m.topic, m.payload))
        self.mqtt.connect(plan["host"], plan["port"])
        self.mqtt.loop_start()
        self.reason = self.connected.get(timeout=PATIENCE)

    def subscribe(self, topic):
        """Whether the broker grants a subscription."""
        self.mqtt.subscribe(topic)
        return all(r < 128 for r in self.subscribed.get(timeout=PATIENCE))

    def publish(self, topic, payload):
        """Returns when the broker acknowledged, or hung up: False."""
        mid = self.mqtt.publish(topic, payload, qos=1).mid
        while True:
            try:
                if self.acked.get(timeout=0.1) == mid:
                    return True
            except queue.Empty:
                if not self.closed.empty():
                    return False

    def message(self, check):
        """The first message that a check accepts."""
        while True:
            topic, payload = self.messages.get(timeout=PATIENCE)
            if check(topic, payload):
                return payload

    def end(self):
        self.mqtt.disconnect()
        self.mqtt.loop_stop()


def read(path):
    with open(path, "rb") as batch:
        return batch.read()


def run(version, name, batch):
    stranger = Client(version, plan["device"], "wrong")
    must(stranger.reason != 0, f"MQTT {name}: a wrong password is let in")
    stranger.end()

    buyer = Client(version, "data", plan["data"])
    must(buyer.subscribe("v1.1/#"), f"MQTT {name}: a buyer may not read")
    device = Client(version, plan["device"], plan["token"])
    must(device.reason == 0, f"MQTT {name}: a device is refused with {device.reason}")
    must(device.subscribe(OWN + "/error"), f"MQTT {name}: a device may not read why it was refused")
    must(not device.subscribe(f"v1/obs/{plan['other']}/error"), f"MQTT {name}: a device may read another's topic")
    must(not device.subscribe("v1.1/#"), f"MQTT {name}: a device may read what buyers pay for")
    must(not buyer.subscribe("v1/obs/#"), f"MQTT {name}: a buyer may read the topics of devices")

    must(device.publish(OWN, read(batch["file"])), f"MQTT {name}: a batch is not acknowledged")
    buyer.message(lambda topic, payload: json.loads(payload)["result"] == batch["temperature"])
    device.publish(OWN, b"no batch")
    text = device.message(lambda topic, payload: topic == OWN + "/error").decode()
    must("malformed" in text, f"MQTT {name}: the reason of a refusal is {text!r}")
    # Version 5 has a reason code for it, which paho 1 does not show; 3.1.1 has none, and
    # the broker hangs up. That the batch is not there the caller checks.
    hung = not device.publish("v1/obs/" + plan["other"], read(plan["foreign"]))
    must(hung or version == mqtt.MQTTv5, f"MQTT {name}: a device may publish to another's topic")
    device.end()
    buyer.end()
    print(f"  paho, MQTT {name}: a batch acknowledged and its reading ({batch['temperature']}) delivered; told why \"no batch\" is refused; kept out of another's topics")


try:
    run(mqtt.MQTTv311, "3.1.1", plan["batches"][0])
    run(mqtt.MQTTv5, "5", plan["batches"][1])
except queue.Empty:
    must(False, "nothing within a minute")
