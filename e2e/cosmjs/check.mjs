// Signs, sends and queries with CosmJS against a running ledger. Arguments come
// by environment: RPC (http URL), KEY (hex private key of a funded account).
// Prints one JSON line; any failure ends with a non-zero exit code.
import { Registry, DirectSecp256k1HdWallet, DirectSecp256k1Wallet } from "@cosmjs/proto-signing";
import { SigningStargateClient, StargateClient, GasPrice, defaultRegistryTypes } from "@cosmjs/stargate";
import protobuf from "protobufjs";

const prefix = "grange";
const { RPC, KEY } = process.env;
if (!RPC || !KEY) throw new Error("set RPC and KEY");

// The one message type that CosmJS does not know, as proto/grange/credit/v1/tx.proto has it.
const MsgBuy = new protobuf.Type("MsgBuy")
  .add(new protobuf.Field("buyer", 1, "string"))
  .add(new protobuf.Field("ugrain", 2, "uint64"))
  .add(new protobuf.Field("minCredit", 3, "uint64"));
new protobuf.Root().define("grange.credit.v1").add(MsgBuy);
const registry = new Registry([...defaultRegistryTypes, ["/grange.credit.v1.MsgBuy", MsgBuy]]);
const options = { registry, gasPrice: GasPrice.fromString("0.002ugrain") };

const rich = await DirectSecp256k1Wallet.fromKey(Buffer.from(KEY, "hex"), prefix);
const fresh = await DirectSecp256k1HdWallet.generate(12, { prefix });
const [{ address: from }] = await rich.getAccounts();
const [{ address: to }] = await fresh.getAccounts();

const reader = await StargateClient.connect(RPC);
const before = BigInt((await reader.getBalance(to, "ugrain")).amount);

const payer = await SigningStargateClient.connectWithSigner(RPC, rich, options);
const sent = await payer.sendTokens(from, to, [{ denom: "ugrain", amount: "5000000" }], 1.5, "paid from a wallet");
if (sent.code !== 0) throw new Error(`send refused: ${sent.rawLog}`);
const after = BigInt((await reader.getBalance(to, "ugrain")).amount);
if (after - before !== 5000000n) throw new Error(`balance moved by ${after - before}`);

const wallet = await SigningStargateClient.connectWithSigner(RPC, fresh, options);
const bought = await wallet.signAndBroadcast(to, [{ typeUrl: "/grange.credit.v1.MsgBuy", value: { buyer: to, ugrain: 1000000, minCredit: 1 } }], 1.5);
if (bought.code !== 0) throw new Error(`buy refused: ${bought.rawLog}`);
// A purchase is priced by a round of votes that opens after it.
let credits = 0n;
for (let polls = 0; credits <= 0n && polls < 240; polls++) {
  await new Promise((again) => setTimeout(again, 500));
  credits = BigInt((await reader.getBalance(to, "ucredit")).amount);
}
if (credits <= 0n) throw new Error("bought no credits");

// Credits are usage money: they do not move between users.
const fee = { amount: [{ denom: "ugrain", amount: "1000" }], gas: "200000" };
const refused = await wallet.sendTokens(to, from, [{ denom: "ucredit", amount: "1" }], fee);
if (refused.code === 0) throw new Error("credits moved between users");

console.log(JSON.stringify({
  chain: await reader.getChainId(), height: await reader.getHeight(),
  sent: sent.transactionHash, bought: bought.transactionHash, credits: credits.toString(),
  refused: { code: refused.code, log: refused.rawLog },
}));
