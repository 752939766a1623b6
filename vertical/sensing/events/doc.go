// Package events is the kind of devices that see things on the road and tell what
// they were and where: the class, a box in the picture, the pose, no picture.
//
// Event records come in signed batches of their own media type. Weigh pays by
// cell and hour, with diminishing returns, and Aggregate makes what may leave:
// counts that three owners at least stand behind. A batch itself tells where its
// device went; who may read the evidence sees that.
package events
