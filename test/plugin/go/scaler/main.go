// A strategy that wants as many as the last figure says, served by the real go-plugin library.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	base "meshnomad.test/pb/scalerbase"
	shared "meshnomad.test/pb/scalershared"
	strategy "meshnomad.test/pb/scalerstrategy"
)

type served struct {
	plugin.NetRPCUnsupportedPlugin
	log    hclog.Logger
	config map[string]string
}

func (s *served) GRPCServer(_ *plugin.GRPCBroker, server *grpc.Server) error {
	base.RegisterBasePluginServiceServer(server, s)
	strategy.RegisterStrategyPluginServiceServer(server, s)
	return nil
}

func (s *served) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (interface{}, error) {
	return nil, errors.New("no client")
}

func (s *served) PluginInfo(context.Context, *base.PluginInfoRequest) (*base.PluginInfoResponse, error) {
	return &base.PluginInfoResponse{Name: "go-scaler", Type: base.PluginType_PLUGIN_TYPE_STRATEGY}, nil
}

func (s *served) SetConfig(_ context.Context, request *base.SetConfigRequest) (*base.SetConfigResponse, error) {
	s.config = request.Config
	s.log.Info("configured", "keys", len(request.Config))
	return &base.SetConfigResponse{}, nil
}

func (s *served) Run(_ context.Context, request *strategy.RunRequest) (*strategy.RunResponse, error) {
	if len(request.TimestampedMetric) == 0 {
		return nil, errors.New("no figures")
	}
	fmt.Println("running", request.Check.Name)
	last := request.TimestampedMetric[len(request.TimestampedMetric)-1]
	direction := shared.ScalingDirection_SCALING_DIRECTION_NONE
	if int64(last.Value) > request.Count {
		direction = shared.ScalingDirection_SCALING_DIRECTION_UP
	} else if int64(last.Value) < request.Count {
		direction = shared.ScalingDirection_SCALING_DIRECTION_DOWN
	}
	return &strategy.RunResponse{Action: &shared.ScalingAction{
		Count:     int64(last.Value),
		Reason:    s.config["reason"] + " " + request.Check.Strategy.Config["why"],
		Direction: direction,
		Meta:      &shared.Meta{Value: []byte(`{"seen":true}`)},
	}}, nil
}

func main() {
	log := hclog.New(&hclog.LoggerOptions{Level: hclog.Trace, Output: os.Stderr, JSONFormat: true})
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: plugin.HandshakeConfig{
			ProtocolVersion:  1,
			MagicCookieKey:   "NOMAD_AUTOSCALER_PLUGIN_MAGIC_COOKIE",
			MagicCookieValue: "e082fa04d587a6525d683666fa253d6afda00f20c122c54a80a3ed57fec99ff3",
		},
		Plugins:    map[string]plugin.Plugin{"strategy": &served{log: log}},
		GRPCServer: plugin.DefaultGRPCServer,
		Logger:     log,
	})
}
