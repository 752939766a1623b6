// Package advise answers "I own X" and "I need Y" from the atlas: pure rules
// over a typed profile. Own and Need rank what is eligible by published terms
// and weights, give reasons for and against with the claims they rest on, and
// list what was rejected with the first rule that failed.
//
// It recommends no investment and knows no price that no claim gives: what no
// source says is null. This network is judged by the same rules and shown
// beside the ranking, never in it.
package advise
