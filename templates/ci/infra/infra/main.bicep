// What a repo of models needs in Azure: the workspace and what it stands on, the cluster, and who may do what by CI.
// Run again, it changes what differs, and takes nothing away:
//   az deployment group create --resource-group NAME --parameters infra/main.bicepparam

@description('The workspace; what it stands on is named after it.')
@minLength(3)
@maxLength(33)
param workspaceName string

@description('Where all of it lies. By default where the resource group is.')
param location string = resourceGroup().location

@description('The cluster that the runconfigs name.')
param clusterName string

@description('The size of its nodes.')
param vmSize string

@description('As many nodes at once as there is quota for. Without a run there are none, and none is paid for.')
@minValue(1)
param maxNodes int = 4

@description('Who says which job of CI is asking: GitHub, or https://vstoken.dev.azure.com/ORGANIZATION_ID.')
param issuer string = 'https://token.actions.githubusercontent.com'

@description('What comes before the environment in a job\'s name: repo:OWNER/REPO:environment: or sc://ORG/PROJECT/.')
param subjectPrefix string

@description('The environments of CI. Each logs in as itself, and as none of the others.')
param environments array = [
  'azure-ml-train'
  'azure-ml-test'
  'azure-ml-production'
]

module foundation 'foundation.bicep' = {
  name: 'foundation'
  params: {
    workspaceName: workspaceName
    location: location
  }
}

module workspace 'workspace.bicep' = {
  name: 'workspace'
  params: {
    workspaceName: workspaceName
    location: location
    storageId: foundation.outputs.storageId
    vaultId: foundation.outputs.vaultId
    registryId: foundation.outputs.registryId
    insightsId: foundation.outputs.insightsId
    clusterName: clusterName
    vmSize: vmSize
    maxNodes: maxNodes
    clusterIdentityId: foundation.outputs.clusterIdentityId
  }
}

module identities 'identities.bicep' = {
  name: 'identities'
  params: {
    workspaceName: workspace.outputs.workspaceName
    location: location
    issuer: issuer
    subjectPrefix: subjectPrefix
    environments: environments
  }
}

@description('The AZURE_CLIENT_ID of each environment; no secret.')
output clientIds array = identities.outputs.clientIds
