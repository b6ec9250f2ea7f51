// Two devices, one of them ill, served by the real go-plugin library.
package main

import (
	"context"
	"errors"
	"os"

	"github.com/golang/protobuf/ptypes"
	"github.com/golang/protobuf/ptypes/wrappers"
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	base "meshnomad.test/pb/base"
	pb "meshnomad.test/pb/device"
	"meshnomad.test/pb/shared"
)

type devices struct {
	plugin.NetRPCUnsupportedPlugin
}

func (d *devices) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error {
	base.RegisterBasePluginServer(s, d)
	pb.RegisterDevicePluginServer(s, d)
	return nil
}

func (d *devices) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (interface{}, error) {
	return nil, errors.New("no client")
}

func (d *devices) PluginInfo(context.Context, *base.PluginInfoRequest) (*base.PluginInfoResponse, error) {
	return &base.PluginInfoResponse{
		Type: base.PluginType_DEVICE, Name: "godevice", PluginVersion: "0.1.0", PluginApiVersions: []string{"v0.1.0"},
	}, nil
}

func (d *devices) ConfigSchema(context.Context, *base.ConfigSchemaRequest) (*base.ConfigSchemaResponse, error) {
	return &base.ConfigSchemaResponse{}, nil
}

func (d *devices) SetConfig(context.Context, *base.SetConfigRequest) (*base.SetConfigResponse, error) {
	return &base.SetConfigResponse{}, nil
}

func (d *devices) Fingerprint(_ *pb.FingerprintRequest, stream pb.DevicePlugin_FingerprintServer) error {
	err := stream.Send(&pb.FingerprintResponse{DeviceGroup: []*pb.DeviceGroup{{
		Vendor: "acme", DeviceType: "fpga", DeviceName: "A1",
		Devices: []*pb.DetectedDevice{
			{ID: "one", Healthy: true, HwLocality: &pb.DeviceLocality{PciBusId: "0000:01:00.0"}},
			{ID: "two", HealthDescription: "too hot"},
		},
		Attributes: map[string]*shared.Attribute{
			"memory": {Value: &shared.Attribute_IntVal{IntVal: 8}, Unit: "GiB"},
			"clock":  {Value: &shared.Attribute_FloatVal{FloatVal: 2}, Unit: "GHz"},
		},
	}}})
	<-stream.Context().Done()
	return err
}

func (d *devices) Reserve(_ context.Context, request *pb.ReserveRequest) (*pb.ReserveResponse, error) {
	if request.DeviceIds[0] == "gone" {
		return nil, errors.New("device gone is gone")
	}
	return &pb.ReserveResponse{ContainerRes: &pb.ContainerReservation{
		Envs:    map[string]string{"ACME": request.DeviceIds[0]},
		Devices: []*pb.DeviceSpec{{TaskPath: "/dev/acme", HostPath: "/dev/null", Permissions: "rw"}},
		Mounts:  []*pb.Mount{{TaskPath: "/lib/acme", HostPath: "/lib", ReadOnly: true}},
	}}, nil
}

func (d *devices) Stats(_ *pb.StatsRequest, stream pb.DevicePlugin_StatsServer) error {
	value := &shared.StatValue{
		IntNumeratorVal: &wrappers.Int64Value{Value: 3}, IntDenominatorVal: &wrappers.Int64Value{Value: 8}, Unit: "GiB", Desc: "Memory",
	}
	err := stream.Send(&pb.StatsResponse{Groups: []*pb.DeviceGroupStats{{
		Vendor: "acme", Type: "fpga", Name: "A1",
		InstanceStats: map[string]*pb.DeviceStats{"one": {
			Summary: value, Timestamp: ptypes.TimestampNow(),
			Stats: &shared.StatObject{Nested: map[string]*shared.StatObject{"memory": {
				Attributes: map[string]*shared.StatValue{"used": value},
			}}},
		}},
	}}})
	<-stream.Context().Done()
	return err
}

func main() {
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: plugin.HandshakeConfig{
			ProtocolVersion:  2,
			MagicCookieKey:   "NOMAD_PLUGIN_MAGIC_COOKIE",
			MagicCookieValue: "e4327c2e01eabfd75a8a67adb114fb34a757d57eee7728d857a8cec6e91a7255",
		},
		Plugins:    map[string]plugin.Plugin{"device": &devices{}},
		GRPCServer: plugin.DefaultGRPCServer,
		Logger:     hclog.New(&hclog.LoggerOptions{Level: hclog.Trace, Output: os.Stderr, JSONFormat: true}),
	})
}
